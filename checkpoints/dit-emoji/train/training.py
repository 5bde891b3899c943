"""What both trainings share: the optimiser, the weight average, and a state file that survives a kill."""
import math
import os
import time
from pathlib import Path

import torch


def orthogonalised(g: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Newton-Schulz iteration of Muon (Keller Jordan, 2024) on a stack of matrices [..., rows, cols]."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = g.shape[-2] > g.shape[-1]
    x = g.mT if tall else g
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        xxt = x @ x.mT
        x = a * x + (b * xxt + c * xxt @ xxt) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised; scaled to AdamW's usual update size (0.2 RMS), so both share a learning rate.

    `split` maps a parameter's id to the number of row blocks that are orthogonalised apart (3 for qkv).
    """

    def __init__(self, params, lr: float, momentum: float = 0.95, weight_decay: float = 0.01, split=None):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.split = split or {}

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            stacks: dict[tuple, list] = {}
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(p)
                m = state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                g = p.grad.lerp(m, group["momentum"]).reshape(p.shape[0], -1)
                for part in g.chunk(self.split.get(id(p), 1)):
                    stacks.setdefault(tuple(part.shape), []).append((p, part))
            updates: dict[int, list] = {}
            for shape, entries in stacks.items():
                scale = 0.2 * math.sqrt(max(shape))
                for (p, _), u in zip(entries, orthogonalised(torch.stack([part for _, part in entries]))):
                    updates.setdefault(id(p), []).append(u * scale)
            for p in group["params"]:
                if id(p) in updates:
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    p.add_(torch.cat(updates[id(p)]).reshape(p.shape), alpha=-group["lr"])


class Ema:
    """Exponential moving average of a module's parameters, warmed up."""

    def __init__(self, model: torch.nn.Module, decay: float):
        self.decay, self.steps = decay, 0
        self.shadow = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: torch.nn.Module) -> None:
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 10))
        for key, value in model.state_dict().items():
            self.shadow[key].lerp_(value, 1 - decay) if value.is_floating_point() else self.shadow[key].copy_(value)


def save_atomically(state: dict, path: Path) -> None:
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    os.replace(temporary, path)


class Clock:
    """Prints a line with the time left every `every` steps."""

    def __init__(self, first: int, last: int, every: int = 20):
        self.first, self.last, self.every, self.start, self.sums, self.n = first, last, every, time.time(), {}, 0

    def tick(self, step: int, **values: float) -> None:
        self.n += 1
        for key, value in values.items():
            self.sums[key] = self.sums.get(key, 0.0) + value
        if step % self.every == 0:
            each = (time.time() - self.start) / (step - self.first + 1)
            left = (self.last - step) * each / 60
            means = " ".join(f"{k} {v / self.n:.4f}" for k, v in self.sums.items())
            print(f"step {step}/{self.last} {means} {each:.3f} s/step {left:.1f} min left", flush=True)
            self.sums, self.n = {}, 0
