"""DiT after facebookresearch/DiT models.py, its attention and MLP after timm, as PyTorch users run it."""
import math

import torch
import torch.nn.functional as F
from torch import nn

FREQUENCIES = 256


class Attention(nn.Module):
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, d))


class Mlp(nn.Module):
    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.act = nn.GELU(approximate="tanh")
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x):
        return self.fc2(self.act(self.fc1(x)))


def modulate(x, shift, scale):
    return x * (1 + scale.unsqueeze(1)) + shift.unsqueeze(1)


def ada_ln(dim: int, parts: int):
    return nn.Sequential(nn.SiLU(), nn.Linear(dim, parts * dim))


class DiTBlock(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        dim = config["hiddenSize"]
        self.norm1 = nn.LayerNorm(dim, elementwise_affine=False, eps=1e-6)
        self.attn = Attention(dim, config["numHeads"])
        self.norm2 = nn.LayerNorm(dim, elementwise_affine=False, eps=config["normEps"])
        self.mlp = Mlp(dim, int(dim * config["mlpRatio"]))
        self.adaLN_modulation = ada_ln(dim, 6)

    def forward(self, x, c):
        shift_msa, scale_msa, gate_msa, shift_mlp, scale_mlp, gate_mlp = self.adaLN_modulation(c).chunk(6, dim=1)
        x = x + gate_msa.unsqueeze(1) * self.attn(modulate(self.norm1(x), shift_msa, scale_msa))
        return x + gate_mlp.unsqueeze(1) * self.mlp(modulate(self.norm2(x), shift_mlp, scale_mlp))


class BlockChain(nn.Module):
    def __init__(self, config: dict, inputs: dict):
        super().__init__()
        self.blocks = nn.ModuleList(DiTBlock(config) for _ in range(config["depth"]))
        self.inputs = inputs

    def forward(self):
        x = self.inputs["tokens"]
        for block in self.blocks:
            x = block(x, self.inputs["c"])
        return x


class TimestepEmbedder(nn.Module):
    def __init__(self, dim: int, shift: int):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(FREQUENCIES, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.shift = shift  # 1 in diffusers

    def forward(self, t):
        half = FREQUENCIES // 2
        exponents = torch.arange(half, dtype=torch.float32) / (half - self.shift)
        phases = t[:, None].float() * torch.exp(-math.log(10000) * exponents)
        return self.mlp(torch.cat([phases.cos(), phases.sin()], 1))


class FinalLayer(nn.Module):
    def __init__(self, dim: int, patch: int, channels: int):
        super().__init__()
        self.norm_final = nn.LayerNorm(dim, elementwise_affine=False, eps=1e-6)
        self.linear = nn.Linear(dim, patch * patch * channels)
        self.adaLN_modulation = ada_ln(dim, 2)

    def forward(self, x, c):
        shift, scale = self.adaLN_modulation(c).chunk(2, dim=1)
        return self.linear(modulate(self.norm_final(x), shift, scale))


class DiT(nn.Module):
    def __init__(self, config: dict, inputs: dict):
        super().__init__()
        dim, self.patch = config["hiddenSize"], config["patchSize"]
        self.x_embedder = nn.ModuleDict({"proj": nn.Conv2d(config["inChannels"], dim, self.patch, self.patch)})
        self.t_embedder = TimestepEmbedder(dim, config["frequencyShift"])
        self.y_embedder = nn.ModuleDict({"embedding_table": nn.Embedding(config["numClasses"] + 1, dim)})
        self.blocks = nn.ModuleList(DiTBlock(config) for _ in range(config["depth"]))
        self.final_layer = FinalLayer(dim, self.patch, config["outChannels"])
        # pictures are [N, C, H, W] here, as PyTorch has them
        self.latents = inputs["latents"].permute(0, 3, 1, 2).contiguous()
        self.positions, self.t, self.y = inputs["positions"], inputs.get("timesteps"), inputs["labels"].long()

    def forward(self):
        return self.predict(self.latents, self.t)

    def predict(self, latents, t):
        x = self.x_embedder["proj"](latents).flatten(2).transpose(1, 2) + self.positions
        c = self.t_embedder(t) + self.y_embedder["embedding_table"](self.y)
        for block in self.blocks:
            x = block(x, c)
        return self.unpatchify(self.final_layer(x, c))

    def unpatchify(self, x):
        p, (n, tokens, features) = self.patch, x.shape
        side = math.isqrt(tokens)
        x = x.reshape(n, side, side, p, p, features // (p * p))
        return torch.einsum("nhwpqc->nchpwq", x).reshape(n, -1, side * p, side * p)


def build(task: str, config: dict, state: dict, inputs: dict) -> nn.Module:
    with torch.device("meta"):
        made = (BlockChain if task == "block" else DiT)(config, inputs)
    made.load_state_dict(state, assign=True)
    return made
