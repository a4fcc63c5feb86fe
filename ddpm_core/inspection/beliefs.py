"""What a model believes along a run: the clean picture it predicts at each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from PIL import Image
from pydantic import Field
from torch import Tensor

from ddpm_core.diffusion.samplers import SAMPLERS
from ddpm_core.images.files import to_tensor
from ddpm_core.inspection.autoencoder import difference_picture
from ddpm_core.inspection.remember import remembered
from ddpm_core.inspection.subject import InsideRequest, decoded
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest

GREY = (0.299, 0.587, 0.114)  # brightness of red, green and blue (ITU-R BT.601)
BANDS = {"coarse": (0, 4), "middle": (4, 12), "fine": (12, None)}  # waves across the picture, from and below

OWN = "own"  # way of a checkpoint
if TYPE_CHECKING:
    OwnOrSamplerName = str
else:
    OwnOrSamplerName = Literal[(OWN, *SAMPLERS)]

EMPTY = 1e-6  # power of a band in which there is nothing; of one level of 255 at one frequency it is some 0.1


class BeliefsRequest(InsideRequest):
    """A run from noise to the picture of a seed, looked at after one of its steps."""

    steps: int = Field(0, ge=0, le=50, description="reverse steps of the run, or 0 for as many as the checkpoint takes")
    sampler: OwnOrSamplerName = Field(OWN, description="how they are taken, or own for the checkpoint's way")
    at: int = Field(5, ge=1, le=50, description="step that is looked at, counted from 1")


@dataclass(frozen=True)
class Belief:
    """What is predicted in a step."""

    t: int  # state in which it is predicted
    picture: Image.Image
    change: Image.Image  # how it differs from the belief before, or from grey, larger than it is (`difference_picture`)
    spectrum: list[float]  # power of its brightness by waves across the picture, from 1 on (`power_spectrum`)
    agreement: dict[str, float]  # by band, how much of it is as in the end, -1 to 1


@remembered(4)
@torch.inference_mode()
def beliefs(model: LatentDiffusion, seed: int, steps: int, sampler: str) -> list[Belief]:
    """Every step's predicted clean picture; the last is the one that the run ends on.

    `steps` may be 0 and `sampler` `OWN`, for what is the checkpoint's: with both, the run ends on the picture that the
    seed makes anywhere else.
    """
    asked: dict[str, Any] = {"seed": seed, "steps": steps or model.request(GenerateRequest).steps}
    own = sampler == OWN
    request = model.request(GenerateRequest, **asked) if own else GenerateRequest(**asked, sampler=sampler)
    run = list(model.generate(request))
    states = model.diffuser.spaced_timesteps(request.steps, request.spacing, **request.extras("spacing"))[:-1]
    pictures = decoded(model, torch.cat([step.denoised for step in run]))  # of steps times C, h, w
    greys = [brightness(picture) for picture in pictures]  # (S, S) each
    before = [Image.new("RGB", pictures[0].size, (128, 128, 128)), *pictures]
    return [
        Belief(
            t, picture, difference_picture(earlier, picture, times=4), power_spectrum(grey), agreement(grey, greys[-1])
        )
        for t, picture, earlier, grey in zip(states, pictures, before, greys, strict=False)
    ]


def brightness(picture: Image.Image) -> Tensor:
    """Brightness (H, W) of an RGB picture, in [-1, 1]."""
    return (to_tensor(picture)[0] * torch.tensor(GREY)[:, None, None]).sum(0)


def waves_across(side: int) -> Tensor:
    """How many waves of each entry of a square's Fourier transform cross the picture: (side, side)."""
    along = torch.fft.fftfreq(side) * side  # (side,)
    return (along[:, None].square() + along[None].square()).sqrt()


def power_spectrum(grey: Tensor) -> list[float]:
    """Mean power of a square (S, S) by waves across it, 1 to S/2 (van der Schaaf & van Hateren 1996, section 2)."""
    side = grey.shape[-1]
    power = torch.fft.fft2(grey - grey.mean()).abs().square() / side**2  # (S, S)
    ring = waves_across(side).round().long()  # (S, S)
    return [power[ring == wave].mean().item() for wave in range(1, side // 2 + 1)]


def agreement(grey: Tensor, final: Tensor) -> dict[str, float]:
    """By band of `BANDS`, the correlation of what two squares (S, S) have in it: 1 if alike, 0 if unrelated."""
    a, b = (torch.fft.fft2((one - one.mean()).double()) for one in (grey, final))  # (S, S) each
    waves = waves_across(grey.shape[-1])  # (S, S)
    found = {}
    for name, (low, high) in BANDS.items():
        band = (waves >= low) & (waves < (high or waves.max() + 1))  # (S, S)
        # Real Fourier coherence: the sum of Re(a conj(b)) over the band, over the root of both powers in it.
        shared = (a[band] * b[band].conj()).real.sum()
        both = (a[band].abs().square().sum() * b[band].abs().square().sum()).sqrt()
        found[name] = (shared / both.clamp_min(EMPTY)).item()
    return found
