"""What the autoencoder alone makes of a picture: the ceiling of everything that is decoded."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from ddpm_core.images.files import to_pictures, to_tensor
from ddpm_core.inspection.remember import remembered
from ddpm_core.inspection.subject import SUBJECTS, InsideRequest, Subject
from ddpm_core.pipeline import LatentDiffusion

AMPLIFIED = 8  # times that a difference is shown larger than it is


class AutoencoderRequest(InsideRequest):
    """A picture through the autoencoder and back."""


@dataclass(frozen=True)
class RoundTrip:
    """A picture and what is left of it."""

    reconstruction: Image.Image
    difference: Image.Image  # grey where the two agree, see `difference_picture`
    psnr: float  # decibels; infinite if not a bit differs
    # values, pixels: numbers in the latent, and in the picture
    values: int
    pixels: int


@remembered(SUBJECTS)
@torch.inference_mode()
def round_trip(model: LatentDiffusion, subject: Subject) -> RoundTrip:
    """The picture encoded to the posterior mean and decoded."""
    (made,) = model.pictures(subject.latent)
    difference = difference_picture(subject.picture, made)
    return RoundTrip(
        made, difference, psnr(subject.picture, made), subject.latent.numel(), subject.image.numel()
    )  # fmt: skip


def difference_picture(first: Image.Image, second: Image.Image, times: float = AMPLIFIED) -> Image.Image:
    """`second` minus `first`, so many times larger, about the grey in the middle."""
    apart = to_tensor(second) - to_tensor(first)  # (1, 3, H, W) in [-2, 2]
    return to_pictures(times * apart / 2)[0]


def psnr(first: Image.Image, second: Image.Image) -> float:
    """Peak signal-to-noise ratio in decibels of two RGB pictures of 8 bits."""
    return psnr_of(to_tensor(first), to_tensor(second))


def psnr_of(first: Tensor, second: Tensor) -> float:
    """The same of image tensors (1, 3, H, W) in [-1, 1]."""
    error = (first.double() - second.double()).square().mean()
    return (10 * torch.log10(4 / error)).item()
