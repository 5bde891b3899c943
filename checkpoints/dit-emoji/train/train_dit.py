"""Class-conditional DiT of depth 28 on the emoji latents, resumable.

    python train_dit.py --work DIR [--stages 7:2600,14:1300,28:420]

Depth grows 7 -> 14 -> 28: early steps cost a quarter; when it grows, each block becomes two half steps.
Loss: MSE on eps weighted by min-SNR 5 and more at high noise, plus 0.1 x the variational bound for the variances (eps detached, as in DiT).
Writes DIR/dit.pt ({model, ema, args, step}, the layout of facebookresearch/DiT) and DIR/dit_state.pt while it runs.
"""
import argparse
import json
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from dit import DiT, deepened
from training import Clock, Ema, Muon, save_atomically

BETAS = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
ALPHAS_CUMPROD = (1 - BETAS).cumprod(0)
PREVIOUS = torch.cat([torch.ones(1, dtype=torch.float64), ALPHAS_CUMPROD[:-1]])
POSTERIOR = BETAS * (1 - PREVIOUS) / (1 - ALPHAS_CUMPROD)
LOG_POSTERIOR = torch.cat([POSTERIOR[1:2], POSTERIOR[1:]]).log()
SNR = ALPHAS_CUMPROD / (1 - ALPHAS_CUMPROD)
# min-SNR 5; and up to 6 at high noise, where eps is nearly the input and says little of what the class looks like
SNR_WEIGHT = (5 / SNR).clamp(max=1) * SNR.rsqrt().clamp(1, 6)


def at(table: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return table[t].float().view(-1, 1, 1, 1)


@torch.no_grad()
def latents_of(work: Path):
    cached = work / "latents.pt"
    if not cached.exists():
        vae = AutoencoderKL.from_pretrained(work / "vae")
        data = np.load(work / "emoji.npz")
        keep = data["labels"] >= 0
        x = torch.from_numpy(data["images"][keep]).permute(0, 3, 1, 2).float() / 127.5 - 1
        posteriors = [vae.encode(c).latent_dist for c in x.split(64)]
        save_atomically({"mean": torch.cat([p.mean for p in posteriors]), "std": torch.cat([p.std for p in posteriors]),
                         "labels": torch.from_numpy(data["labels"][keep])}, cached)
    saved = torch.load(cached)
    return saved["mean"], saved["std"], saved["labels"]


def losses(model, x0, t, y):
    noise = torch.randn_like(x0)
    x = at(ALPHAS_CUMPROD.sqrt(), t) * x0 + at((1 - ALPHAS_CUMPROD).sqrt(), t) * noise
    eps, v = model(x, t, y).chunk(2, 1)
    mse = ((eps - noise).pow(2) * at(SNR_WEIGHT, t)).mean()
    # KL between the true posterior and the predicted one, whose mean comes from the detached eps
    x0_pred = (x - at((1 - ALPHAS_CUMPROD).sqrt(), t) * eps.detach()) / at(ALPHAS_CUMPROD.sqrt(), t)
    coefficient = at(BETAS * PREVIOUS.sqrt() / (1 - ALPHAS_CUMPROD), t)
    log_true = at(LOG_POSTERIOR, t)
    fraction = (v + 1) / 2
    log_model = fraction * at(BETAS.log(), t) + (1 - fraction) * log_true
    difference = (coefficient * (x0 - x0_pred)).pow(2)
    kl = 0.5 * (log_model - log_true - 1 + (log_true - log_model).exp() + difference * (-log_model).exp())
    return mse, (kl * (t > 0).view(-1, 1, 1, 1)).clamp(max=50).mean()


def optimisers(model: DiT, lr: float):
    matrices = [p for b in model.blocks for p in (b.attn.qkv.weight, b.attn.proj.weight, b.mlp.fc1.weight, b.mlp.fc2.weight)]
    ids = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in ids]
    split = {id(b.attn.qkv.weight): 3 for b in model.blocks}
    return Muon(matrices, lr, split=split), torch.optim.AdamW(rest, lr, betas=(0.9, 0.99), weight_decay=0.01)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--stages", default="7:2600,14:1300,28:420", help="depth:steps, each depth twice the one before")
    parser.add_argument("--decay", type=int, default=1000, help="linear decay to 1 %% over the last steps")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    torch.manual_seed(1)
    mean, std, labels = latents_of(args.work)
    names = json.loads((args.work / "labels.json").read_text())
    counts = torch.bincount(labels, minlength=len(names))
    weights = counts[labels].float().pow(-0.5)  # a class is drawn with the square root of its size
    stages, end = [], 0
    for depth, steps in (map(int, s.split(":")) for s in args.stages.split(",")):
        end += steps
        stages.append((depth, end))
    total, state = end, args.work / "dit_state.pt"
    depth = stages[0][0]
    saved = torch.load(state) if state.exists() else None
    model = DiT(len(names), saved["depth"] if saved else depth)
    ema, first = Ema(model, 0.998), 1
    muon, adam = optimisers(model, args.lr)
    if saved:
        model.load_state_dict(saved["model"]); ema.shadow = saved["ema"]; ema.steps = first = saved["step"]
        muon.load_state_dict(saved["muon"]); adam.load_state_dict(saved["adam"])
        first, depth = saved["step"] + 1, saved["depth"]
        torch.manual_seed(first)
    grown = 0

    def compiled():
        if args.compile:
            for block in model.blocks:
                block.compile()

    def save(step):
        save_atomically({"model": model.state_dict(), "ema": ema.shadow, "muon": muon.state_dict(), "adam": adam.state_dict(),
                         "step": step, "depth": depth}, state)

    compiled()
    clock = Clock(first, total)
    for step in range(first, total + 1):
        wanted = next(d for d, last in stages if step <= last)
        if wanted != depth:
            state_model, state_ema = deepened(model.state_dict(), wanted), deepened(ema.shadow, wanted)
            model, depth, grown = DiT(len(names), wanted), wanted, step
            model.load_state_dict(state_model); ema.shadow = state_ema
            muon, adam = optimisers(model, args.lr)
            compiled()
            print(f"step {step}: depth {depth}", flush=True)
        warm = min(1.0, (step - grown) / 100)
        rate = args.lr * warm * max(0.01, min(1.0, (total - step) / args.decay))
        for optimiser in (muon, adam):
            for group in optimiser.param_groups:
                group["lr"] = rate
        chosen = torch.multinomial(weights, args.batch, replacement=True)
        x0 = mean[chosen] + std[chosen] * torch.randn_like(mean[chosen])
        t = ((torch.randperm(args.batch) + torch.rand(args.batch)) / args.batch * 1000).long()  # stratified
        y = torch.where(torch.rand(args.batch) < 0.1, len(names), labels[chosen])
        mse, vb = losses(model, x0, t, y)
        (mse + 0.1 * vb).backward()
        torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
        muon.step(); adam.step()
        muon.zero_grad(); adam.zero_grad()
        ema.update(model)
        clock.tick(step, mse=mse.item(), vb=vb.item())
        if step % 200 == 0 or step == total:
            save(step)
    args.work = str(args.work)  # a path object could not be read without running code
    save_atomically({"model": model.state_dict(), "ema": ema.shadow, "args": args, "step": total}, state.with_name("dit.pt"))


if __name__ == "__main__":
    main()
