"""One picture from a seed, end to end: the shipped pipeline beside one of diffusers' parts.

Theirs is what one would build with diffusers for the same task: its `LDMPipeline` around a `UNet2DModel` with
attention, a `DPMSolverMultistepScheduler` (DPM-Solver++ of order 2, Lu et al. 2022) and an `AutoencoderKL`, with
random weights, since speed does not depend on them. Both compute in fp32 in inference mode, laid out channels-last, for
the same number of steps.

What is counted: ours is the pipeline as shipped, so every step also calls the small network that guides the denoiser.
Theirs has as many parameters as our denoiser alone. That favours theirs, which has no guide to pay for; ours without
its guide stands beside it as a remark. The decoders match as in `benchmarks.locality`. Attention is where
`UNet2DModel` has it if nothing is said, everywhere but on the finest level, and its heads are no smaller than
what is quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import DPMSolverMultistepScheduler, LDMPipeline, UNet2DModel

from benchmarks.locality import autoencoder
from benchmarks.matching import as_large_as, parameters
from benchmarks.results import Result
from benchmarks.timing import medians
from ddpm_core.layers import placed
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.samplers import last
from ddpm_core.schema import GenerateRequest
from ddpm_core.unet import UNet

CHECKPOINT = Path("checkpoints/faces-128")
STEPS, REPEATS = 20, 9
TIMES_FASTER = 2.0
HEAD = 16  # channels of an attention head, and of a group of its norms


def measure(checkpoint: Path = CHECKPOINT, steps: int = STEPS, repeats: int = REPEATS) -> list[Result]:
    """How many times faster ours makes a picture; seconds and parameters as a remark."""
    model = LatentDiffusion.load(checkpoint)
    bare = LatentDiffusion(model.codec, model.denoiser, model.diffuser, model.size)
    rival = matched(model)
    request = GenerateRequest(steps=steps)
    seconds = medians(
        {
            "ours": lambda: model.pictures(last(model.generate(request)).latent),
            "ours without its guide": lambda: bare.pictures(last(bare.generate(request)).latent),
            "theirs": lambda: pictures(rival, request),
        },
        repeats,
    )
    sizes = {
        "our denoiser": parameters(model.denoiser),
        "our guide": parameters(model.guide) if model.guide else 0,
        "their denoiser": parameters(rival.unet),
    }
    return [
        Result.at_least("picture: theirs / ours", seconds["theirs"] / seconds["ours"], TIMES_FASTER),
        Result("picture: theirs / ours without its guide", seconds["theirs"] / seconds["ours without its guide"]),
        *(Result(f"picture: {name}, s", value) for name, value in seconds.items()),
        *(Result(f"picture: {name}, parameters", value) for name, value in sizes.items()),
    ]


def matched(model: LatentDiffusion) -> Any:
    """A diffusers pipeline for latents and pictures of the shape of `model`'s, its parts as large as ours."""
    scheduler = DPMSolverMultistepScheduler(
        num_train_timesteps=model.diffuser.num_timesteps,
        beta_start=model.diffuser.beta_start,
        beta_end=model.diffuser.beta_end,
    )
    cells = model.size // model.codec.stride
    codec, unet = autoencoder(model.codec), denoiser(model.denoiser, cells)
    pipeline: Any = LDMPipeline(placed(codec, model.device).eval(), placed(unet, model.device).eval(), scheduler)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def denoiser(ours: UNet, cells: int) -> Any:  # a UNet2DModel
    """A UNet2DModel of as many levels and nearly as many parameters as `ours`, for latents `cells` wide and high.

    Its finer levels are half as wide as ours, for its blocks are twice as large, and its coarsest is as wide as
    brings the parameters nearest.
    """
    halvings: Any = ours.halve
    finer = [max(HEAD, convolution.in_channels // 2) for convolution in halvings]
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

    return as_large_as(parameters(ours), build, HEAD)


@torch.inference_mode()
def pictures(pipeline: Any, request: GenerateRequest) -> list[Any]:
    """What `LatentDiffusion.generate` and `.pictures` are for ours: RGB pictures for a request's first seed."""
    generator = torch.Generator().manual_seed(request.seed)
    return pipeline(request.count, generator, num_inference_steps=request.steps).images
