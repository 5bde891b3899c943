"""Emoji classifier, resumable.

    python train_classifier.py --work DIR     # after prepare_pictures.py --work DIR

A picture is drawn by its label (the square root of the label's number of pictures), half of the time as the autoencoder
repeats it, and then turned, scaled, shifted, blurred, recoloured a little, and overlaid with noise.
Writes DIR/classifier_state.pt every 100 steps and goes on from it when it is started again.
"""
import argparse
import math
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from classifier import Classifier

sys.path.append(str(Path(__file__).resolve().parents[2] / "dit-emoji" / "train"))
from training import Clock, Ema, Muon, save_atomically  # noqa: E402


def affine(x: torch.Tensor) -> torch.Tensor:
    """Up to 12 degrees, 15 % of size to each side (of either axis 5 % more), 6 % of shift; white comes in at the edges."""
    n, one = len(x), torch.ones(len(x))
    angle = (torch.rand(n) * 2 - 1) * math.radians(12)
    scale = 1 + (torch.rand(n) * 2 - 1) * 0.15
    wide, tall = (scale * (1 + (torch.rand(n) * 2 - 1) * 0.05) for _ in range(2))
    shift = (torch.rand(n, 2) * 2 - 1) * 0.12
    rows = [angle.cos() * wide, -angle.sin() * tall, shift[:, 0], angle.sin() * wide, angle.cos() * tall, shift[:, 1]]
    grid = F.affine_grid(torch.stack(rows, 1).view(n, 2, 3) * one.view(n, 1, 1), list(x.shape), align_corners=False)
    return 1 - F.grid_sample(1 - x, grid, align_corners=False)


def blur(x: torch.Tensor) -> torch.Tensor:
    """One Gaussian for the batch, sigma up to 1.2 pixels, mixed with the picture by an amount of its own."""
    sigma = 0.3 + 0.9 * float(torch.rand(()))
    line = torch.exp(-torch.arange(-3.0, 4.0) ** 2 / (2 * sigma * sigma))
    line = (line / line.sum()).expand(3, 1, 1, 7)
    soft = F.conv2d(F.pad(x, (3, 3, 3, 3), mode="replicate"), line, groups=3)
    soft = F.conv2d(soft, line.mT, groups=3)
    return x.lerp(soft, torch.rand(len(x), 1, 1, 1))


def augmented(x: torch.Tensor) -> torch.Tensor:
    """[N,3,64,64] in [-1, 1]"""
    x = blur(affine(x))
    contrast = 1 + (torch.rand(len(x), 3, 1, 1) * 2 - 1) * 0.1
    brightness = (torch.rand(len(x), 3, 1, 1) * 2 - 1) * 0.08
    noise = 0.08 * torch.rand(len(x), 1, 1, 1) * torch.randn(x.shape)
    return (x * contrast + brightness + noise).clamp(-1, 1).contiguous(memory_format=torch.channels_last)


class Pictures:
    def __init__(self, path: Path):
        arrays = np.load(path)
        self.sets = [torch.from_numpy(arrays[name]) for name in ("images", "decoded")]
        self.labels = torch.from_numpy(arrays["labels"])
        sizes = torch.bincount(self.labels).float()
        self.weights = (1 / sizes.sqrt())[self.labels].double()

    def batch(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = torch.multinomial(self.weights, size, replacement=True)
        halves = [pictures[part] for pictures, part in zip(self.sets, chosen.chunk(2))]
        return augmented(torch.cat(halves).permute(0, 3, 1, 2).float() / 127.5 - 1), self.labels[chosen]


@torch.no_grad()
def accuracy(model: Classifier, pictures: Pictures, batches: int = 24) -> float:
    """On augmentations that were not drawn in training, labels drawn as there."""
    with torch.random.fork_rng():
        torch.manual_seed(12345)
        hits = [(model(x).argmax(1) == y).float().mean() for x, y in (pictures.batch(64) for _ in range(batches))]
    return float(torch.stack(hits).mean())


def averaged(ema: Ema, labels: int) -> Classifier:
    model = Classifier(labels)
    model.load_state_dict(ema.shadow)
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    pictures = Pictures(args.work / "classifier.npz")
    labels = int(pictures.labels.max()) + 1
    model = Classifier(labels).to(memory_format=torch.channels_last)
    print(sum(p.numel() for p in model.parameters()), "parameters")
    kernels = [p for name, p in model.named_parameters() if p.ndim == 4 and not name.startswith("stages.0.downsample")]
    ids = {id(p) for p in kernels}
    muon = Muon(kernels, args.lr)
    adam = torch.optim.AdamW([p for p in model.parameters() if id(p) not in ids], args.lr, betas=(0.9, 0.99), weight_decay=0.01)
    ema, first, state = Ema(model, 0.995), 1, args.work / "classifier_state.pt"
    if state.exists():
        saved = torch.load(state)
        model.load_state_dict(saved["model"]); ema.shadow = saved["ema"]; ema.steps = saved["step"]
        muon.load_state_dict(saved["muon"]); adam.load_state_dict(saved["adam"]); first = saved["step"] + 1
        torch.manual_seed(first)
    clock = Clock(first, args.steps)
    for step in range(first, args.steps + 1):
        rate = args.lr * min(1.0, step / 100) * (0.01 + 0.99 * min(1.0, 2 * (1 - step / args.steps)))
        for group in muon.param_groups + adam.param_groups:
            group["lr"] = rate
        x, y = pictures.batch(args.batch)
        scores = model(x)
        loss = F.cross_entropy(scores, y, label_smoothing=0.02)
        loss.backward()
        muon.step(); adam.step()
        muon.zero_grad(); adam.zero_grad()
        ema.update(model)
        clock.tick(step, loss=loss.item(), hits=(scores.argmax(1) == y).float().mean().item())
        if step % 100 == 0 or step == args.steps:
            save_atomically({"model": model.state_dict(), "ema": ema.shadow, "muon": muon.state_dict(), "adam": adam.state_dict(), "step": step}, state)
            print(f"step {step}: accuracy {accuracy(averaged(ema, labels), pictures):.3f}", flush=True)


if __name__ == "__main__":
    main()
