"""AutoencoderKL f=4 on all emoji (64x64 -> 16x16x4), resumable.

    python train_vae.py --work DIR

The first steps run on 32x32 crops (a quarter of the cost), the rest on whole images. At the end the latents'
per-channel mean and std are folded into quant_conv and post_quant_conv, so that scaling_factor is 1.
Writes DIR/vae/ (diffusers folder) and DIR/vae_state.pt while it runs.
"""
import argparse
import math
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from training import Clock, Ema, Muon, save_atomically

CONFIG = dict(
    down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
    block_out_channels=(32, 64, 64), layers_per_block=1, norm_num_groups=16, latent_channels=4,
    sample_size=64, scaling_factor=1.0,
)


def batch(images: torch.Tensor, size: int, n: int) -> torch.Tensor:
    x = images[torch.randint(len(images), (n,))].permute(0, 3, 1, 2).float() / 127.5 - 1
    if size < 64:  # crops near the middle, where the emoji is
        top, left = (torch.randint(0, 64 - size + 1, (2,)) // 4 * 4).tolist()
        x = x[:, :, top:top + size, left:left + size]
    return x.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def psnr(vae: AutoencoderKL, images: torch.Tensor) -> float:
    x = images.permute(0, 3, 1, 2).float() / 127.5 - 1
    y = torch.cat([vae.decode(vae.encode(c).latent_dist.mean).sample.clamp(-1, 1) for c in x.split(32)])
    return float((-10 * torch.log10(((x - y) / 2).pow(2).mean((1, 2, 3)))).mean())


@torch.no_grad()
def fold_latent_scale(vae: AutoencoderKL, images: torch.Tensor) -> None:
    x = images[::3].permute(0, 3, 1, 2).float() / 127.5 - 1
    z = torch.cat([vae.encode(c).latent_dist.mean for c in x.split(32)])
    mean, std = z.mean((0, 2, 3)), z.std((0, 2, 3))
    print("latent mean", mean.tolist(), "std", std.tolist())
    quant, post = vae.quant_conv, vae.post_quant_conv  # moments are [mean(4), logvar(4)]
    quant.weight[:4] /= std.view(4, 1, 1, 1)
    quant.bias[:4] = (quant.bias[:4] - mean) / std
    quant.bias[4:] -= 2 * std.log()
    post.bias += post.weight[:, :, 0, 0] @ mean
    post.weight *= std.view(1, 4, 1, 1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--crop-steps", type=int, default=1500)
    parser.add_argument("--steps", type=int, default=2100)
    parser.add_argument("--lr", type=float, default=1.5e-3)
    args = parser.parse_args()
    torch.manual_seed(0)
    images = torch.from_numpy(np.load(args.work / "emoji.npz")["images"])
    vae = AutoencoderKL(**CONFIG).to(memory_format=torch.channels_last)
    print(sum(p.numel() for p in vae.parameters()), "parameters")
    matrices = [p for n, p in vae.named_parameters() if p.ndim >= 2 and "conv_in" not in n and "conv_out" not in n and "quant" not in n]
    ids = {id(p) for p in matrices}
    muon = Muon(matrices, args.lr)
    adam = torch.optim.AdamW([p for p in vae.parameters() if id(p) not in ids], args.lr, betas=(0.9, 0.99), weight_decay=0.01)
    ema, first, state = Ema(vae, 0.998), 1, args.work / "vae_state.pt"
    if state.exists():
        saved = torch.load(state)
        vae.load_state_dict(saved["model"]); ema.shadow = saved["ema"]; ema.steps = saved["step"]
        muon.load_state_dict(saved["muon"]); adam.load_state_dict(saved["adam"]); first = saved["step"] + 1
    clock = Clock(first, args.steps)
    for step in range(first, args.steps + 1):
        warm = min(1.0, step / 100)
        rate = args.lr * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / args.steps)))
        for optimiser in (muon, adam):
            for group in optimiser.param_groups:
                group["lr"] = rate
        x = batch(images, 32 if step <= args.crop_steps else 64, 16)
        posterior = vae.encode(x).latent_dist
        y = vae.decode(posterior.mean + posterior.std * torch.randn_like(posterior.mean)).sample
        # KL per latent element: summed over the latent it starves the channels that carry colour
        l1, mse, kl = (x - y).abs().mean(), (x - y).pow(2).mean(), posterior.kl().mean() / posterior.mean[0].numel()
        (l1 + 2 * mse + 1e-4 * kl).backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        muon.step(); adam.step()
        muon.zero_grad(); adam.zero_grad()
        ema.update(vae)
        clock.tick(step, l1=l1.item(), mse=mse.item(), kl=kl.item())
        if step % 200 == 0 or step == args.steps:
            save_atomically({"model": vae.state_dict(), "ema": ema.shadow, "muon": muon.state_dict(), "adam": adam.state_dict(), "step": step}, state)
            averaged = AutoencoderKL(**CONFIG); averaged.load_state_dict(ema.shadow)
            print(f"step {step}: PSNR {psnr(averaged, images[::40]):.2f} dB", flush=True)
    averaged = AutoencoderKL(**CONFIG).requires_grad_(False)
    averaged.load_state_dict(ema.shadow)
    before = psnr(averaged, images[::8])
    fold_latent_scale(averaged, images)
    print(f"PSNR on images: {before:.2f} dB, after folding {psnr(averaged, images[::8]):.2f} dB")
    averaged.save_pretrained(args.work / "vae")


if __name__ == "__main__":
    main()
