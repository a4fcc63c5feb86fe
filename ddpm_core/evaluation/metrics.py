"""Measures of pictures and of the codec: plain functions of tensors or arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


class Decoder(Protocol):
    """What `locality` asks of a codec, another library's as well."""

    stride: int

    def decode(self, latent: Tensor) -> Tensor:
        """Images (B, 3, h*stride, w*stride) of latents (B, C, h, w)."""


@dataclass
class Locality:
    """Where pixels move when one latent cell does."""

    radius: int  # pixels from the cell's square to the farthest that changes
    within_3x3: float  # fraction of the squared change in the cell's and its eight neighbours' squares


@torch.inference_mode()
def locality(codec: Decoder, latents: Tensor, cells: int = 16, seed: int = 0) -> Locality:
    """Move `cells` single cells by 1 per channel, up or down at random, and decode.

    `latents` (B, C, h, w) are of real pictures, normalised, and on the codec's device.
    """
    generator = torch.Generator().manual_seed(seed)
    batch, channels, height, width = latents.shape
    radius, near, total = 0, 0.0, 0.0
    for _ in range(cells):
        b, row, column = (int(torch.randint(n, (1,), generator=generator)) for n in (batch, height, width))
        nudge = torch.randn(channels, generator=generator).sign().to(latents)
        moved = latents[b : b + 1].clone()
        moved[0, :, row, column] += nudge
        change = (codec.decode(moved) - codec.decode(latents[b : b + 1]))[0].square().sum(0).cpu()  # (H, W)
        reach = reach_of(change, row, column, codec.stride)
        radius = max(radius, int(reach[change > 0].max()))
        near += change[reach <= codec.stride].sum().item()
        total += change.sum().item()
    return Locality(radius, near / total)


def reach_of(change: Tensor, row: int, column: int, stride: int) -> Tensor:
    """How many pixels each pixel of `change` (H, W) lies outside a latent cell's own square, int64 (H, W)."""
    rows, columns = (torch.arange(extent) for extent in change.shape)
    return torch.maximum(_beyond(rows, row, stride)[:, None], _beyond(columns, column, stride)[None])


def _beyond(pixels: Tensor, cell: int, stride: int) -> Tensor:
    return torch.maximum(cell * stride - pixels, pixels - (cell + 1) * stride + 1).clamp_min(0)


def edge_steps(pixels: np.ndarray, painted: np.ndarray) -> np.ndarray:
    """Differences (pairs,), of 255, across a mask's edge, for every kept pixel beside a painted one.

    Args:
        pixels: (H, W, channels), 0 to 255.
        painted: bool (H, W).
    """
    across = []
    for axis in (0, 1):
        steps = np.abs(np.diff(pixels.astype(float), axis=axis)).mean(2)
        across.append(steps[np.diff(painted, axis=axis)])
    return np.concatenate(across)
