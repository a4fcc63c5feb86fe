"""One picture from a seed, end to end: the shipped pipeline beside one of diffusers' parts.

Theirs is a `UNet2DModel` with its default attention, a `DPMSolverMultistepScheduler` (DPM-Solver++ of order 2, Lu et
al. 2022) and an `AutoencoderKL`, in the loop of diffusers' manual, with random weights and as many parameters as all
our networks that a step calls; its decoder as in `benchmarks.locality`. Both run in inference mode, channels-last, for
as many steps, in the type of our denoiser; only ours decodes in fp32.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from diffusers import DPMSolverMultistepScheduler, UNet2DModel
from PIL import Image

from benchmarks.locality import autoencoder
from benchmarks.matching import as_large_as, parameters
from benchmarks.results import Result
from benchmarks.timing import medians
from ddpm_core.diffusion.samplers import last
from ddpm_core.images.files import to_pictures
from ddpm_core.networks.layers import placed
from ddpm_core.networks.unet import UNet
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest

CHECKPOINT = Path("checkpoints/faces-128")
STEPS, REPEATS = 20, 9
TIMES_FASTER = 2.0
HEAD = 16  # channels of an attention head, and of a group of its norms


def measure(checkpoint: Path = CHECKPOINT, steps: int = STEPS, repeats: int = REPEATS) -> list[Result]:
    """How many times faster ours makes a picture; seconds and parameters as a remark."""
    model, request = LatentDiffusion.load(checkpoint), GenerateRequest(steps=steps)
    rival = matched(model)
    seconds = medians(
        {
            "ours": lambda: model.pictures(last(model.generate(request)).latent),
            "theirs": lambda: pictures(rival, request),
        },
        repeats,
    )
    return [
        Result.at_least("picture: theirs / ours", seconds["theirs"] / seconds["ours"], TIMES_FASTER),
        *(Result(f"picture: {whose}, s", value) for whose, value in seconds.items()),
        Result("picture: our parameters", predicting(model)),
        Result("picture: their parameters", parameters(rival.unet)),
    ]


def predicting(model: LatentDiffusion) -> int:
    """How many parameters every step of ours calls, a guide's included."""
    return sum(parameters(network) for network in (model.denoiser, model.guide) if network)


class Rival(NamedTuple):
    """Their networks in the floating type `dtype`, and a scheduler."""

    unet: Any
    vae: Any
    scheduler: Any
    dtype: torch.dtype


def matched(model: LatentDiffusion) -> Rival:
    """Diffusers' parts for latents and pictures of `model`'s shape, as large as ours, in its denoiser's type."""
    scheduler = DPMSolverMultistepScheduler(
        num_train_timesteps=model.diffuser.num_timesteps,
        beta_start=model.diffuser.beta_start,
        beta_end=model.diffuser.beta_end,
    )
    dtype = next(model.denoiser.parameters()).dtype
    cells = model.size // model.codec.stride
    parts = denoiser(model.denoiser, predicting(model), cells), autoencoder(model.codec)  # type: ignore[arg-type]
    unet, vae = (placed(part.to(dtype), model.device).eval() for part in parts)
    return Rival(unet, vae, scheduler, dtype)


def denoiser(ours: UNet, goal: int, cells: int) -> Any:  # a UNet2DModel
    """A UNet2DModel of as many levels as `ours` and nearly `goal` parameters, for latents `cells` wide and high.

    Finer levels are half as wide as ours, for its blocks are twice as large; the coarsest makes up for the rest.
    """
    finer = [max(HEAD, width // 2) for width in ours.channels[:-1]]
    plain = min(1, len(finer))
    attending = len(finer) + 1 - plain

    def build(width: int) -> Any:
        torch.manual_seed(0)
        return UNet2DModel(
            sample_size=cells,
            in_channels=ours.latent_channels,
            out_channels=ours.latent_channels,
            block_out_channels=[*finer, width],
            down_block_types=["DownBlock2D"] * plain + ["AttnDownBlock2D"] * attending,
            up_block_types=["AttnUpBlock2D"] * attending + ["UpBlock2D"] * plain,
            attention_head_dim=HEAD,
            norm_num_groups=HEAD,
        )

    return as_large_as(goal, build, HEAD)


@torch.inference_mode()
def pictures(rival: Rival, request: GenerateRequest) -> list[Image.Image]:
    """RGB pictures for a request's first seed, as `LatentDiffusion.generate` and `.pictures` make them."""
    cells, channels = rival.unet.config.sample_size, rival.unet.config.in_channels
    generator = torch.Generator().manual_seed(request.seed)
    latent = torch.randn(request.count, channels, cells, cells, generator=generator).to(rival.unet.device, rival.dtype)
    latent = latent.to(memory_format=torch.channels_last)
    rival.scheduler.set_timesteps(request.steps)
    for t in rival.scheduler.timesteps:
        latent = rival.scheduler.step(rival.unet(latent, t).sample, t, latent).prev_sample
    return to_pictures(rival.vae.decode(latent / rival.vae.config.scaling_factor).sample.float())
