"""PixArt-alpha of depth 28 with its T5 encoder, trained together on the captioned emoji; resumable.

    python train_pixart.py --work DIR [--from-dit DIR/dit_state.pt] [--stages 7:4800,14:1800,28:1000] [--compile]

As the paper does it, the transformer starts from a class-conditional DiT (`--from-dit`, a state of ../../dit-emoji's
train_dit.py whose depth is the first stage's). Depth grows 7 -> 14 -> 28: each block becomes two half steps.
Loss: that of the DiT (MSE on eps, weighted; 0.1 x the variational bound). One prompt in ten is empty.
Writes DIR/pixart_state.pt while it runs and DIR/pixart/ (a diffusers PixArtAlphaPipeline folder) at the end.
"""
import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, PixArtAlphaPipeline, PixArtTransformer2DModel
from transformers import T5Config, T5EncoderModel, T5Tokenizer

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "dit-emoji" / "train"))
from train_dit import losses  # noqa: E402
from training import Clock, Ema, Muon, save_atomically  # noqa: E402

HIDDEN, HEADS, CAPTION_TOKENS = 128, 4, 24  # the longest caption has 22 tokens; padding is masked


def transformer_of(depth: int) -> PixArtTransformer2DModel:
    return PixArtTransformer2DModel(
        num_attention_heads=HEADS, attention_head_dim=HIDDEN // HEADS, in_channels=4, out_channels=8, num_layers=depth,
        cross_attention_dim=HIDDEN, caption_channels=HIDDEN, sample_size=16, patch_size=2, use_additional_conditions=False,
    )


def text_encoder_of(vocabulary: int) -> T5EncoderModel:
    return T5EncoderModel(T5Config(
        vocab_size=vocabulary, d_model=HIDDEN, d_kv=32, d_ff=256, num_layers=3, num_heads=4, dropout_rate=0.0,
        feed_forward_proj="gated-gelu", is_encoder_decoder=False, use_cache=False, tie_word_embeddings=False,
    ))


class TextToImage(torch.nn.Module):
    def __init__(self, depth: int, vocabulary: int):
        super().__init__()
        self.transformer, self.text_encoder = transformer_of(depth), text_encoder_of(vocabulary)
        torch.nn.init.normal_(self.text_encoder.shared.weight, std=1.0)
        for block in self.transformer.transformer_blocks:  # the text starts with no say
            torch.nn.init.zeros_(block.attn2.to_out[0].weight)
        torch.nn.init.zeros_(self.transformer.proj_out.weight)

    def forward(self, x, t, ids, mask):
        text = self.text_encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        return self.transformer(x, encoder_hidden_states=text, encoder_attention_mask=mask, timestep=t,
                                added_cond_kwargs={"resolution": None, "aspect_ratio": None}, return_dict=False)[0]


def from_dit(model: PixArtTransformer2DModel, dit: dict) -> None:
    """adaLN-single out of a DiT's adaLN of every block, for the null class: the shared map is the blocks' mean,
    and each block's table its mean difference from that over the timesteps (PixArt-alpha, section 2.3)."""
    depth, state = len(model.transformer_blocks), {}
    t = torch.arange(0, 1000, 10)
    phase = t[:, None] * torch.exp(-np.log(10000) * torch.arange(128) / 128)
    null = dit["y_embedder.embedding_table.weight"][-1]
    w0, b0, w2, b2 = (dit[f"t_embedder.mlp.{k}"] for k in ("0.weight", "0.bias", "2.weight", "2.bias"))
    hidden = torch.nn.functional.silu(torch.cat([phase.cos(), phase.sin()], 1) @ w0.T + b0)
    cond = torch.nn.functional.silu(hidden @ w2.T + b2 + null)
    pairs = [(dit[f"blocks.{i}.adaLN_modulation.1.weight"], dit[f"blocks.{i}.adaLN_modulation.1.bias"]) for i in range(depth)]
    shared_w, shared_b = (torch.stack(several).mean(0) for several in zip(*pairs))
    state["adaln_single.linear.weight"], state["adaln_single.linear.bias"] = shared_w, shared_b
    for name, w, b in (("linear_1", w0, b0), ("linear_2", w2, b2 + null)):
        state[f"adaln_single.emb.timestep_embedder.{name}.weight"] = w
        state[f"adaln_single.emb.timestep_embedder.{name}.bias"] = b
    for i, (w, b) in enumerate(pairs):
        block, ours = f"blocks.{i}.", f"transformer_blocks.{i}."
        state[ours + "scale_shift_table"] = (cond @ (w - shared_w).T + b - shared_b).mean(0).view(6, HIDDEN)
        for kind in ("weight", "bias"):
            for name, part in zip("qkv", dit[f"{block}attn.qkv.{kind}"].chunk(3)):
                state[f"{ours}attn1.to_{name}.{kind}"] = part
            state[f"{ours}attn1.to_out.0.{kind}"] = dit[f"{block}attn.proj.{kind}"]
            state[f"{ours}ff.net.0.proj.{kind}"] = dit[f"{block}mlp.fc1.{kind}"]
            state[f"{ours}ff.net.2.{kind}"] = dit[f"{block}mlp.fc2.{kind}"]
    final = cond @ dit["final_layer.adaLN_modulation.1.weight"].T + dit["final_layer.adaLN_modulation.1.bias"]
    embedded = hidden @ w2.T + b2 + null
    state["scale_shift_table"] = (final - embedded.repeat(1, 2)).mean(0).view(2, HIDDEN)
    for kind in ("weight", "bias"):
        state[f"pos_embed.proj.{kind}"] = dit[f"x_embedder.proj.{kind}"]
        state[f"proj_out.{kind}"] = dit[f"final_layer.linear.{kind}"]
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and all("attn2" in k or "caption" in k or k == "pos_embed.pos_embed" for k in missing), missing


def deepened(state: dict) -> dict:
    """Every block becomes two half steps: gates (rows 2 and 5 of the shared map and of the tables) and the text's
    output halved."""
    grown = {}
    for key, value in state.items():
        if key.startswith("transformer.adaln_single.linear."):
            rows = value.clone().view(6, HIDDEN, -1)
            rows[2] /= 2
            rows[5] /= 2
            grown[key] = rows.view(value.shape)
        elif key.startswith("transformer.transformer_blocks."):
            *start, index, rest = key.split(".", 3)
            value = value.clone()
            if rest == "scale_shift_table":
                value[[2, 5]] /= 2
            elif rest.startswith("attn2.to_out.0"):
                value /= 2
            for twin in (0, 1):
                grown[".".join([*start, str(2 * int(index) + twin), rest])] = value.clone()
        else:
            grown[key] = value
    return grown


def optimisers(model: TextToImage, lr: float):
    matrices = [p for n, p in model.transformer.transformer_blocks.named_parameters() if p.ndim == 2 and "table" not in n]
    ids = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in ids]
    return Muon(matrices, lr), torch.optim.AdamW(rest, lr, betas=(0.9, 0.99), weight_decay=0.01)


@torch.no_grad()
def latents_of(work: Path):
    vae = AutoencoderKL.from_pretrained(work / "vae")
    x = torch.from_numpy(np.load(work / "captions.npz")["images"]).permute(0, 3, 1, 2).float() / 127.5 - 1
    posteriors = [vae.encode(c).latent_dist for c in x.split(64)]
    return torch.cat([p.mean for p in posteriors]), torch.cat([p.std for p in posteriors])


class Captions:
    def __init__(self, work: Path):
        self.tokenizer = T5Tokenizer.from_pretrained(work / "tokenizer")
        captions = json.loads((work / "captions.json").read_text())["captions"]
        self.encoded = [self.encode(several) for several in captions]
        self.empty = self.encode([""])

    def encode(self, texts: list[str]):
        batch = self.tokenizer(texts, padding="max_length", max_length=CAPTION_TOKENS, truncation=True, return_tensors="pt")
        return batch.input_ids, batch.attention_mask

    def draw(self, pictures: torch.Tensor, dropout: float = 0.1):
        drawn = []
        for picture in pictures.tolist():
            ids, mask = self.empty if torch.rand(()) < dropout else self.encoded[picture]
            one = int(torch.randint(len(ids), ()))
            drawn.append((ids[one], mask[one]))
        ids, mask = zip(*drawn)
        return torch.stack(ids), torch.stack(mask)


def save_pipeline(weights: dict, depth: int, captions: Captions, work: Path, folder: Path) -> None:
    model = TextToImage(depth, len(captions.tokenizer))
    model.load_state_dict(weights)
    scheduler = DPMSolverMultistepScheduler(beta_schedule="linear", beta_start=1e-4, beta_end=0.02)
    PixArtAlphaPipeline(captions.tokenizer, model.text_encoder, AutoencoderKL.from_pretrained(work / "vae"),
                        model.transformer, scheduler).save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--from-dit", type=Path)
    parser.add_argument("--stages", default="7:4800,14:1800,28:1000", help="depth:steps, each depth twice the one before")
    parser.add_argument("--decay", type=int, default=1800, help="linear decay to 1 %% over the last steps")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    torch.manual_seed(1)
    mean, std = latents_of(args.work)
    captions = Captions(args.work)
    stages, total = [], 0
    for depth, steps in (map(int, s.split(":")) for s in args.stages.split(",")):
        total += steps
        stages.append((depth, total))
    path, depth, first, grown = args.work / "pixart_state.pt", stages[0][0], 1, 0
    saved = torch.load(path) if path.exists() else None
    depth = saved["depth"] if saved else depth
    model = TextToImage(depth, len(captions.tokenizer))
    if args.from_dit and not saved:
        dit = torch.load(args.from_dit, weights_only=False)
        from_dit(model.transformer, dit["ema"])
    ema = Ema(model, 0.998)
    muon, adam = optimisers(model, args.lr)
    if saved:
        model.load_state_dict(saved["model"])
        ema.shadow, ema.steps, first = saved["ema"], saved["step"], saved["step"] + 1
        muon.load_state_dict(saved["muon"])
        adam.load_state_dict(saved["adam"])
        torch.manual_seed(first)

    def compiled():
        if args.compile:
            for block in model.transformer.transformer_blocks:
                block.compile()

    compiled()
    clock = Clock(first, total)
    for step in range(first, total + 1):
        wanted = next(d for d, last in stages if step <= last)
        if wanted != depth:
            weights, averaged = deepened(model.state_dict()), deepened(ema.shadow)
            model, depth, grown = TextToImage(wanted, len(captions.tokenizer)), wanted, step
            model.load_state_dict(weights)
            ema.shadow = averaged
            muon, adam = optimisers(model, args.lr)
            compiled()
            print(f"step {step}: depth {depth}", flush=True)
        rate = args.lr * min(1.0, (step - grown) / 100) * max(0.01, min(1.0, (total - step) / args.decay))
        for optimiser in (muon, adam):
            for group in optimiser.param_groups:
                group["lr"] = rate
        chosen = torch.randint(len(mean), (args.batch,))
        x0 = mean[chosen] + std[chosen] * torch.randn_like(mean[chosen])
        t = ((torch.randperm(args.batch) + torch.rand(args.batch)) / args.batch * 1000).long()  # stratified
        ids, mask = captions.draw(chosen)
        mse, vb = losses(lambda x, t, y: model(x, t, *y), x0, t, (ids, mask))
        (mse + 0.1 * vb).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        muon.step()
        adam.step()
        muon.zero_grad()
        adam.zero_grad()
        ema.update(model)
        clock.tick(step, mse=mse.item(), vb=vb.item())
        if step % 200 == 0 or step == total:
            save_atomically({"model": model.state_dict(), "ema": ema.shadow, "muon": muon.state_dict(),
                             "adam": adam.state_dict(), "step": step, "depth": depth}, path)
    save_pipeline(ema.shadow, depth, captions, args.work, args.work / "pixart")


if __name__ == "__main__":
    main()
