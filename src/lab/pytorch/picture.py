"""Whole pictures out of given noise, as diffusers' pipelines make them: a guided model under DDIM, then the autoencoder."""
import torch
from diffusers import AutoencoderKL, DDIMScheduler


class Sampling:
    """All steps. @param halves of a batch: [cond, null] of a DiT, [uncond, cond] of a PixArt, or one without guidance"""

    def __init__(self, model, config: dict):
        self.model, self.config = model, config
        self.scheduler = DDIMScheduler.from_config(config["scheduler"])
        self.scheduler.set_timesteps(config["numInferenceSteps"])

    def __call__(self):
        x = self.model.latents
        for t in self.scheduler.timesteps:
            x = self.scheduler.step(self.epsilon(x, t), t, x).prev_sample
        return x

    def epsilon(self, x, t):
        order, channels = self.config["order"], self.config["guidedChannels"]
        doubled = torch.cat([x] * len(order))
        halves = self.model.predict(doubled, t.expand(len(doubled)))[:, : x.shape[1]].chunk(len(order))
        cond = halves[order.index("cond")]
        if len(order) == 1:
            return cond
        guided, uncond = cond[:, :channels], halves[order.index("uncond")][:, :channels]
        mixed = uncond + self.config["guidanceScale"] * (guided - uncond)
        return mixed if channels == x.shape[1] else torch.cat([mixed, cond[:, channels:]], 1)


class Decoding:
    def __init__(self, config: dict, state: dict):
        self.scale = config["scalingFactor"]
        levels = config["blockOutChannels"]
        with torch.device("meta"):
            self.vae = AutoencoderKL(
                out_channels=config["outChannels"], block_out_channels=levels, layers_per_block=config["layersPerBlock"],
                down_block_types=["DownEncoderBlock2D"] * len(levels), up_block_types=["UpDecoderBlock2D"] * len(levels),
                latent_channels=config["latentChannels"], norm_num_groups=config["normNumGroups"],
            )
        missing, unexpected = self.vae.load_state_dict(state, assign=True, strict=False)
        # the encoder stays without weights
        missing = [name for name in missing if not name.startswith(("encoder.", "quant_conv."))]
        assert not unexpected and not missing, (missing, unexpected)
        self.vae.requires_grad_(False).eval()

    def __call__(self, latents):
        return self.vae.decode(latents / self.scale).sample


def stages(original, config: dict, state: dict, inputs: dict) -> dict:
    """@param original the module of the transformer @param state its weights, and the autoencoder's under "vae." """
    vae = {name.removeprefix("vae."): tensor for name, tensor in state.items() if name.startswith("vae.")}
    transformer = {name: tensor for name, tensor in state.items() if not name.startswith("vae.")}
    model = original.build("model", config["transformer"], transformer, inputs).requires_grad_(False).eval()
    return {"latents": Sampling(model, config), "output": Decoding(config["vae"], vae)}
