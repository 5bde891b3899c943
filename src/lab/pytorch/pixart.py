"""PixArt-alpha by diffusers' own classes; weights come in the names of PixArt-alpha/PixArt-alpha."""
import torch
from diffusers import PixArtTransformer2DModel
from diffusers.models.attention import BasicTransformerBlock
from torch import nn


class BlockChain(nn.Module):
    def __init__(self, config: dict, inputs: dict):
        super().__init__()
        dim, heads = config["hiddenSize"], config["numHeads"]
        # as PixArtTransformer2DModel makes its blocks
        self.transformer_blocks = nn.ModuleList(
            BasicTransformerBlock(
                dim, heads, dim // heads, cross_attention_dim=dim, activation_fn="gelu-approximate",
                attention_bias=True, norm_type="ada_norm_single", norm_elementwise_affine=False,
                norm_eps=config["normEps"],
            )
            for _ in range(config["depth"])
        )
        self.inputs = inputs
        self.bias = ((1 - inputs["mask"]) * -10000.0).unsqueeze(1)

    def forward(self):
        x = self.inputs["tokens"]
        for block in self.transformer_blocks:
            x = block(
                x, encoder_hidden_states=self.inputs["caption"], timestep=self.inputs["t0"],
                encoder_attention_mask=self.bias,
            )
        return x


class PixArt(nn.Module):
    def __init__(self, config: dict, inputs: dict):
        super().__init__()
        heads = config["numHeads"]
        self.model = PixArtTransformer2DModel(
            num_attention_heads=heads, attention_head_dim=config["hiddenSize"] // heads, num_layers=config["depth"],
            in_channels=config["inChannels"], out_channels=config["outChannels"], patch_size=config["patchSize"],
            sample_size=config["inputSize"], cross_attention_dim=config["hiddenSize"],
            caption_channels=config["captionChannels"], interpolation_scale=config["interpolationScale"],
            use_additional_conditions=config["microConditions"],
        )
        self.inputs = inputs
        self.latents = inputs["latents"].permute(0, 3, 1, 2).contiguous()
        n = len(inputs["mask"])
        side = float(config.get("latentPixels", 8) * config["inputSize"])
        sizes = {"resolution": torch.full((n, 2), side), "aspect_ratio": torch.ones(n, 1)}
        self.sizes = sizes if config["microConditions"] else {"resolution": None, "aspect_ratio": None}

    def forward(self):
        return self.predict(self.latents, self.inputs["timesteps"])

    def predict(self, latents, t):
        return self.model(
            latents, encoder_hidden_states=self.inputs["captions"], timestep=t,
            encoder_attention_mask=self.inputs["mask"], added_cond_kwargs=self.sizes,
        ).sample


# original -> diffusers, in the parts into which diffusers splits them
BLOCK_NAMES = {
    "attn.qkv": ["attn1.to_q", "attn1.to_k", "attn1.to_v"],
    "attn.proj": ["attn1.to_out.0"],
    "cross_attn.q_linear": ["attn2.to_q"],
    "cross_attn.kv_linear": ["attn2.to_k", "attn2.to_v"],
    "cross_attn.proj": ["attn2.to_out.0"],
    "mlp.fc1": ["ff.net.0.proj"],
    "mlp.fc2": ["ff.net.2"],
}
MODEL_NAMES = {
    "x_embedder.proj": "pos_embed.proj",
    "t_embedder.mlp.0": "adaln_single.emb.timestep_embedder.linear_1",
    "t_embedder.mlp.2": "adaln_single.emb.timestep_embedder.linear_2",
    "csize_embedder.mlp.0": "adaln_single.emb.resolution_embedder.linear_1",
    "csize_embedder.mlp.2": "adaln_single.emb.resolution_embedder.linear_2",
    "ar_embedder.mlp.0": "adaln_single.emb.aspect_ratio_embedder.linear_1",
    "ar_embedder.mlp.2": "adaln_single.emb.aspect_ratio_embedder.linear_2",
    "t_block.1": "adaln_single.linear",
    "y_embedder.y_proj.fc1": "caption_projection.linear_1",
    "y_embedder.y_proj.fc2": "caption_projection.linear_2",
    "final_layer.linear": "proj_out",
}


def to_diffusers(state: dict) -> dict:
    renamed = {}
    for name, tensor in state.items():
        module, kind = name.rsplit(".", 1)
        if module.startswith("blocks."):
            _, i, *inner = module.split(".")
            targets = BLOCK_NAMES.get(".".join(inner), [""])
            targets = [f"transformer_blocks.{i}.{target}".rstrip(".") for target in targets]
        else:
            targets = [MODEL_NAMES.get(module, "")]
        for target, part in zip(targets, tensor.chunk(len(targets))):
            renamed[f"{target}.{kind}".lstrip(".")] = part
    return renamed


def build(task: str, config: dict, state: dict, inputs: dict) -> nn.Module:
    if task == "block":
        with torch.device("meta"):
            made = BlockChain(config, inputs)
        made.load_state_dict(to_diffusers(state), assign=True)
        return made
    made = PixArt(config, inputs)
    missing, unexpected = made.model.load_state_dict(to_diffusers(state), assign=True, strict=False)
    # the position table is computed, not stored
    assert not unexpected and set(missing) <= {"pos_embed.pos_embed"}, (missing, unexpected)
    return made
