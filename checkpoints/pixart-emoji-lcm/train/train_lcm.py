"""Latent consistency distillation (arXiv 2310.04378) of the text-to-image demo; resumable.

    python train_lcm.py --work DIR [--steps 300] [--compile]     # after ../../pixart-emoji/train/train_pixart.py

The student learns to jump from any of 50 timesteps to the end of the teacher's guided DDIM path: its answer at t must be
that of its own moving average one teacher step further. The guidance scale is baked in, so it runs without guidance.
The text encoder stays as it is. Writes DIR/lcm_state.pt while it runs and DIR/pixart-lcm/ (a diffusers folder) at the end.
"""
import argparse
import copy
import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL, LCMScheduler, PixArtAlphaPipeline, PixArtTransformer2DModel
from transformers import T5EncoderModel

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "pixart-emoji" / "train"))
from train_pixart import Captions, latents_of  # noqa: E402  (which finds training.py)
from train_dit import ALPHAS_CUMPROD, at  # noqa: E402
from training import Clock, Ema, Muon, save_atomically  # noqa: E402

GRID = 20  # 1000 / 50 teacher steps: timesteps 19, 39, ..., 999
SIGMA_DATA, TIMESTEP_SCALING, HUBER = 0.5, 10.0, 0.001  # of the LCM paper's code and diffusers' LCMScheduler


def predicted(model, x, t, text, mask):
    eps = model(x, encoder_hidden_states=text, encoder_attention_mask=mask, timestep=t,
                added_cond_kwargs={"resolution": None, "aspect_ratio": None}, return_dict=False)[0][:, :4]
    return eps, (x - at((1 - ALPHAS_CUMPROD).sqrt(), t) * eps) / at(ALPHAS_CUMPROD.sqrt(), t)


def consistent(model, x, t, text, mask):
    _, x0 = predicted(model, x, t, text, mask)
    scaled = (t * TIMESTEP_SCALING).view(-1, 1, 1, 1)
    skip = SIGMA_DATA**2 / (scaled**2 + SIGMA_DATA**2)
    return scaled / (scaled**2 + SIGMA_DATA**2).sqrt() * x0 + skip * x


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--lr", type=float, default=3e-4)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    torch.manual_seed(2)
    mean, std = latents_of(args.work)
    captions = Captions(args.work)
    folder = args.work / "pixart"
    text_encoder = T5EncoderModel.from_pretrained(folder / "text_encoder").eval().requires_grad_(False)
    teacher = PixArtTransformer2DModel.from_pretrained(folder / "transformer").eval().requires_grad_(False)
    student, path, first = copy.deepcopy(teacher).requires_grad_(True), args.work / "lcm_state.pt", 1
    matrices = [p for n, p in student.transformer_blocks.named_parameters() if p.ndim == 2 and "table" not in n]
    ids = {id(p) for p in matrices}
    muon = Muon(matrices, args.lr)
    adam = torch.optim.AdamW([p for p in student.parameters() if id(p) not in ids], args.lr, betas=(0.9, 0.99), weight_decay=0.0)
    target, kept = Ema(student, 0.95), Ema(student, 0.99)  # the target of the loss; what is saved
    if path.exists():
        saved = torch.load(path)
        student.load_state_dict(saved["model"])
        target.shadow, kept.shadow, first = saved["target"], saved["kept"], saved["step"] + 1
        target.steps = kept.steps = saved["step"]
        muon.load_state_dict(saved["muon"])
        adam.load_state_dict(saved["adam"])
        torch.manual_seed(first)
    follower = copy.deepcopy(teacher)
    if args.compile:
        for model in (teacher, student, follower):
            for block in model.transformer_blocks:
                block.compile()
    with torch.no_grad():
        empty = text_encoder(input_ids=captions.empty[0], attention_mask=captions.empty[1]).last_hidden_state
    clock = Clock(first, args.steps)
    for step in range(first, args.steps + 1):
        rate = args.lr * min(1.0, step / 50) * max(0.02, min(1.0, 2 * (args.steps - step) / args.steps))
        for optimiser in (muon, adam):
            for group in optimiser.param_groups:
                group["lr"] = rate
        chosen = torch.randint(len(mean), (args.batch,))
        x0 = mean[chosen] + std[chosen] * torch.randn_like(mean[chosen])
        slot = ((torch.randperm(args.batch) + torch.rand(args.batch)) / args.batch * (1000 // GRID)).long()
        t = (slot + 1) * GRID - 1
        x = at(ALPHAS_CUMPROD.sqrt(), t) * x0 + at((1 - ALPHAS_CUMPROD).sqrt(), t) * torch.randn_like(x0)
        token_ids, mask = captions.draw(chosen, dropout=0.0)
        with torch.no_grad():
            text = text_encoder(input_ids=token_ids, attention_mask=mask).last_hidden_state
            both = torch.cat([text, empty.expand_as(text)]), torch.cat([mask, captions.empty[1].expand_as(mask)])
            cond, uncond = predicted(teacher, x.repeat(2, 1, 1, 1), t.repeat(2), *both)[0].chunk(2)
            eps = uncond + args.guidance * (cond - uncond)
            guided = (x - at((1 - ALPHAS_CUMPROD).sqrt(), t) * eps) / at(ALPHAS_CUMPROD.sqrt(), t)
            before = (t - GRID).clamp(min=0)
            last = (t < GRID).view(-1, 1, 1, 1)
            earlier = at(ALPHAS_CUMPROD.sqrt(), before) * guided + at((1 - ALPHAS_CUMPROD).sqrt(), before) * eps
            follower.load_state_dict(target.shadow)
            goal = torch.where(last, guided, consistent(follower, earlier, before, text, mask))
        loss = (((consistent(student, x, t, text, mask) - goal).pow(2) + HUBER**2).sqrt() - HUBER).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        muon.step()
        adam.step()
        muon.zero_grad()
        adam.zero_grad()
        target.update(student)
        kept.update(student)
        clock.tick(step, loss=loss.item())
        if step % 100 == 0 or step == args.steps:
            save_atomically({"model": student.state_dict(), "target": target.shadow, "kept": kept.shadow,
                             "muon": muon.state_dict(), "adam": adam.state_dict(), "step": step}, path)
    student.load_state_dict(kept.shadow)
    PixArtAlphaPipeline(captions.tokenizer, text_encoder, AutoencoderKL.from_pretrained(args.work / "vae"), student,
                        LCMScheduler(beta_schedule="linear", beta_start=1e-4, beta_end=0.02)).save_pretrained(args.work / "pixart-lcm")


if __name__ == "__main__":
    main()
