"""One training step of the denoiser: ours beside the Unet of lucidrains' denoising-diffusion-pytorch.

Both are trained by `ddpm_core.training.loop.Trainer` on the same latents. Ours learns as in a real run; theirs by its
package's loss, the squared error of the noise at evenly drawn timesteps (Ho et al. 2020, algorithm 1). Theirs has our
number of parameters, linear attention on finer levels and full on the coarsest, as it comes. Each is known by its
fastest in fp32 and, where there is any, under bf16 autocast, theirs laid out both ways in memory.

The package's trainer has heavy requirements; its Unet needs einops alone:

    pip install --no-deps -r benchmarks/requirements.txt
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.matching import as_large_as, parameters
from benchmarks.partly import imported
from benchmarks.results import Result, Unmeasured
from benchmarks.subject import codec_of, new_denoiser, random_latents, settings_of, training_steps
from benchmarks.timing import medians
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.machine import Precision, resolve_precision
from ddpm_core.networks.unet import UNet
from ddpm_core.training.loop import Trainer
from ddpm_core.training.presets import PRESETS
from ddpm_core.training.settings import TrainRequest
from ddpm_core.training.shards import MicroBatch
from ddpm_core.training.timesteps import draw_timesteps

PACKAGE = "denoising_diffusion_pytorch"
# Imported with the package and used by its trainer and its measures only; scipy by another model of it.
NOT_NEEDED = (
    "accelerate", "ema_pytorch", "pytorch_fid", "pytorch_fid.fid_score", "pytorch_fid.inception",
    "scipy", "scipy.optimize", "torchvision",
)  # fmt: skip
WIDTHS = (1, 2, 4)  # of its levels, in multiples of the first
WIDER_BY = 8
REPEATS = 5
TIMES_FASTER = 1.5


def measure(preset: str = "faces", repeats: int = REPEATS) -> list[Result]:
    """How many times faster a step of ours is; seconds of every setting, and parameters, as a remark.

    Raises:
        Unmeasured: the package is not installed.
    """
    settings = settings_of(preset)
    request = TrainRequest(data=".", out=".", **PRESETS[preset])
    cells = request.size // codec_of(preset).stride
    ours = new_denoiser(preset, settings)
    assert isinstance(ours, UNet)
    theirs = matched(ours)
    clean, diffuser = random_latents(ours, settings.batch_size, cells), Diffuser()

    def their_loss(model: nn.Module, micro_batch: MicroBatch, layout: torch.memory_format) -> dict[str, Tensor]:
        return plain_loss(model, clean.to(memory_format=layout), diffuser)

    steps: dict[str, Callable[[], object]] = {}
    for precision in precisions():
        steps[f"ours, {precision}"] = partial(next, training_steps(preset, settings, cells, precision))
        for name, layout in {"": torch.contiguous_format, ", channels last": torch.channels_last}.items():
            model: Any = copy.deepcopy(theirs)  # so that each contestant trains weights of its own
            trainer = Trainer(model.to(memory_format=layout), settings, precision)
            steps[f"theirs, {precision}{name}"] = partial(next, trainer.train(partial(their_loss, layout=layout)))
    seconds = medians(steps, repeats, warmup=1)
    fastest = {who: min(value for name, value in seconds.items() if name.startswith(who)) for who in ("ours", "theirs")}
    return [
        Result.at_least("training step: theirs / ours", fastest["theirs"] / fastest["ours"], TIMES_FASTER),
        *(Result(f"training step: {name}, s", value) for name, value in seconds.items()),
        Result("training step: our parameters", parameters(ours)),
        Result("training step: their parameters", parameters(theirs)),
    ]


def precisions() -> list[Precision]:
    """fp32, and bf16 where the processor computes in it."""
    return ["fp32", "bf16"] if resolve_precision("auto", torch.device("cpu")) == torch.bfloat16 else ["fp32"]


def plain_loss(model: nn.Module, clean: Tensor, diffuser: Diffuser) -> dict[str, Tensor]:
    """The simple loss of DDPM (Ho et al. 2020, algorithm 1) on latents (B, C, h, w), for a predictor of noise."""
    t = draw_timesteps(len(clean), "uniform", diffuser).to(clean.device)
    eps = torch.randn_like(clean)
    return {"loss": F.mse_loss(model(diffuser.add_noise(clean, eps, t), t), eps)}


def matched(ours: UNet) -> nn.Module:
    """A Unet of theirs for the latents of `ours`, with nearly as many parameters.

    Raises:
        Unmeasured: the package is not installed.
    """
    unet = their_unet()

    def build(width: int) -> nn.Module:
        torch.manual_seed(0)
        return unet(width, dim_mults=WIDTHS[: ours.halvings + 1], channels=ours.latent_channels)

    return as_large_as(parameters(ours), build, WIDER_BY)


def their_unet() -> Callable[..., nn.Module]:
    """The class `Unet` of the package, imported without what its trainer needs.

    Raises:
        Unmeasured: the package, or einops, is not installed.
    """
    try:
        return imported(PACKAGE, NOT_NEEDED).Unet
    except ModuleNotFoundError as error:
        raise Unmeasured(
            f"{error.name} is not installed; pip install --no-deps -r benchmarks/requirements.txt brings it."
        ) from None
