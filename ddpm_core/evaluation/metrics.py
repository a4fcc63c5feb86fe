"""Measures of pictures and of the codec, each a plain function of tensors or arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ddpm_core.data.load import PictureSet
from ddpm_core.networks.codec import Codec


def psnr(image: Tensor, reference: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, (B,), of images (B, 3, H, W) in [-1, 1] rounded to 8 bits."""
    levels = [((x.clamp(-1, 1) + 1) * 127.5).round() for x in (image, reference)]
    error = (levels[0] - levels[1]).square().mean((1, 2, 3)).clamp_min(1e-12)
    return 10 * torch.log10(255**2 / error)


@torch.inference_mode()
def reconstruction_psnr(codec: Codec, pictures: PictureSet) -> float:
    """Mean over pictures of the PSNR, in dB, of decoding what was encoded."""
    device = codec.latent_mean.device
    values = []
    for image in pictures.batches(16):
        values.append(psnr(codec.decode(codec.encode(image.to(device))).cpu(), image))
    return torch.cat(values).mean().item()


@torch.inference_mode()
def gradient_ratio(codec: Codec, pictures: PictureSet) -> float:
    """Mean gradient magnitude of reconstructed pictures over that of the originals: below 1 is blurred, 1 as sharp."""
    device = codec.latent_mean.device
    restored, original = 0.0, 0.0
    for image in pictures.batches(16):
        restored += _gradient_magnitude(codec.decode(codec.encode(image.to(device))).clamp(-1, 1)).sum().item()
        original += _gradient_magnitude(image).sum().item()
    return restored / max(original, 1e-9)  # blank pictures have no edges at all


def _gradient_magnitude(image: Tensor) -> Tensor:
    dx, dy = image.diff(dim=3)[:, :, :-1], image.diff(dim=2)[:, :, :, :-1]
    return (dx.square() + dy.square()).sqrt()


class Decoder(Protocol):
    """What `locality` asks of a codec; a codec of another library needs just these two."""

    stride: int

    def decode(self, latent: Tensor) -> Tensor:
        """Images (B, 3, h*stride, w*stride) of latents (B, C, h, w)."""


@dataclass
class Locality:
    """Where pixels move when one latent cell does.

    Attributes:
        radius: the farthest changed pixel, counted in pixels from the cell's own square; beyond it nothing
            changes, not by one bit.
        within_3x3: share of the squared change that lies in the cell's square and its eight neighbours'.
    """

    radius: int
    within_3x3: float


@torch.inference_mode()
def locality(codec: Decoder, latents: Tensor, cells: int = 16, seed: int = 0) -> Locality:
    """Move single cells of `latents` (B, C, h, w) by 1 per channel, up or down at random, and decode.

    Args:
        latents: of real pictures, normalised, so that 1 is one standard deviation; on the codec's device.
        cells: how many cells to try, spread at random over the pictures.
    """
    generator = torch.Generator().manual_seed(seed)
    batch, channels, height, width = latents.shape
    radius, near, total = 0, 0.0, 0.0
    for _ in range(cells):
        b, row, column = (int(torch.randint(n, (1,), generator=generator)) for n in (batch, height, width))
        nudge = torch.randn(channels, generator=generator).sign().to(latents)
        moved = latents[b : b + 1].clone()
        moved[0, :, row, column] += nudge
        change = (codec.decode(moved) - codec.decode(latents[b : b + 1]))[0].square().sum(0).cpu()
        rows, columns = torch.nonzero(change, as_tuple=True)
        reach = torch.maximum(_beyond(rows, row, codec.stride), _beyond(columns, column, codec.stride))
        radius = max(radius, int(reach.max()))
        near += change[rows, columns][reach <= codec.stride].sum().item()
        total += change.sum().item()
    return Locality(radius, near / total)


def _beyond(pixels: Tensor, cell: int, stride: int) -> Tensor:
    """How far coordinates lie outside the cell's own `stride` pixels; 0 inside."""
    return torch.maximum(cell * stride - pixels, pixels - (cell + 1) * stride + 1).clamp_min(0)


def edge_steps(pixels: np.ndarray, painted: np.ndarray) -> np.ndarray:
    """Differences across a mask's edge: one for every kept pixel and painted one beside, above or below it.

    Args:
        pixels: (H, W, channels), 0 to 255.
        painted: bool (H, W).
    Returns:
        (pairs,), absolute differences averaged over the channels, of 255. In a seamless filling they are no
        larger than those of the untouched picture at the same places.
    """
    across = []
    for axis in (0, 1):
        steps = np.abs(np.diff(pixels.astype(float), axis=axis)).mean(2)
        across.append(steps[np.diff(painted, axis=axis)])
    return np.concatenate(across)
