"""DiT with the parameter names of facebookresearch/DiT, for training; exact numerics are the original's."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

HIDDEN, HEADS, DEPTH, PATCH, CHANNELS, GRID = 128, 4, 28, 2, 4, 8


def modulate(x, shift, scale):
    return x * (1 + scale.unsqueeze(1)) + shift.unsqueeze(1)


def sincos(positions: torch.Tensor, dim: int) -> torch.Tensor:
    omega = 10000.0 ** (-torch.arange(dim // 2, dtype=torch.float64) / (dim / 2))
    phase = positions.reshape(-1, 1) * omega
    return torch.cat([phase.sin(), phase.cos()], 1)


def position_table(dim: int, grid: int) -> torch.Tensor:
    row, column = torch.meshgrid(torch.arange(grid, dtype=torch.float64), torch.arange(grid, dtype=torch.float64), indexing="ij")
    return torch.cat([sincos(column, dim // 2), sincos(row, dim // 2)], 1).float().unsqueeze(0)  # column first


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, d))


class Mlp(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.dim, self.attn, self.mlp = dim, Attention(dim, heads), Mlp(dim)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))

    def forward(self, x, c):
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(c).chunk(6, 1)
        x = x + gate1.unsqueeze(1) * self.attn(modulate(F.layer_norm(x, (self.dim,), eps=1e-6), shift1, scale1))
        return x + gate2.unsqueeze(1) * self.mlp(modulate(F.layer_norm(x, (self.dim,), eps=1e-6), shift2, scale2))


class Final(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim, self.linear = dim, nn.Linear(dim, PATCH * PATCH * CHANNELS * 2)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(dim, 2 * dim))

    def forward(self, x, c):
        shift, scale = self.adaLN_modulation(c).chunk(2, 1)
        return self.linear(modulate(F.layer_norm(x, (self.dim,), eps=1e-6), shift, scale))


class Embedder(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(256, dim), nn.SiLU(), nn.Linear(dim, dim))

    def forward(self, t):
        phase = t.float()[:, None] * torch.exp(-math.log(10000) * torch.arange(128) / 128)
        return self.mlp(torch.cat([phase.cos(), phase.sin()], -1))


class Labels(nn.Module):
    def __init__(self, classes, dim):
        super().__init__()
        self.embedding_table = nn.Embedding(classes + 1, dim)  # the last row is "no class"


class Patches(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.proj = nn.Conv2d(CHANNELS, dim, PATCH, PATCH)


class DiT(nn.Module):
    def __init__(self, classes: int, depth: int = DEPTH, dim: int = HIDDEN, heads: int = HEADS):
        super().__init__()
        self.x_embedder, self.t_embedder, self.y_embedder = Patches(dim), Embedder(dim), Labels(classes, dim)
        self.pos_embed = nn.Parameter(position_table(dim, GRID), requires_grad=False)
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.final_layer = Final(dim)
        self.initialise()

    def initialise(self):
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight); nn.init.zeros_(module.bias)
        w = self.x_embedder.proj.weight
        nn.init.xavier_uniform_(w.data.view(w.shape[0], -1)); nn.init.zeros_(self.x_embedder.proj.bias)
        for weight in (self.y_embedder.embedding_table.weight, self.t_embedder.mlp[0].weight, self.t_embedder.mlp[2].weight):
            nn.init.normal_(weight, std=0.02)
        for linear in (*(b.adaLN_modulation[1] for b in self.blocks), self.final_layer.adaLN_modulation[1], self.final_layer.linear):
            nn.init.zeros_(linear.weight); nn.init.zeros_(linear.bias)

    def forward(self, x, t, y):
        n, c, h, w = x.shape
        x = self.x_embedder.proj(x).flatten(2).transpose(1, 2) + self.pos_embed
        cond = self.t_embedder(t) + self.y_embedder.embedding_table(y)
        for block in self.blocks:
            x = block(x, cond)
        x = self.final_layer(x, cond).view(n, h // PATCH, w // PATCH, PATCH, PATCH, 2 * CHANNELS)
        return x.permute(0, 5, 1, 3, 2, 4).reshape(n, 2 * CHANNELS, h, w)


def deepened(state: dict, depth: int) -> dict:
    """Every block becomes two half steps: a copy each, its two gates (chunks 2 and 5 of adaLN) halved."""
    old = 1 + max(int(k.split(".")[1]) for k in state if k.startswith("blocks."))
    assert depth == 2 * old
    grown = {}
    for key, value in state.items():
        if not key.startswith("blocks."):
            grown[key] = value
            continue
        _, index, rest = key.split(".", 2)
        if rest.startswith("adaLN_modulation.1"):
            chunks = list(value.chunk(6, 0))
            chunks[2], chunks[5] = chunks[2] / 2, chunks[5] / 2
            value = torch.cat(chunks)
        for twin in (0, 1):
            grown[f"blocks.{2 * int(index) + twin}.{rest}"] = value.clone()
    return grown
