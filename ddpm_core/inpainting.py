"""Inpainting: masks on the latent grid, constraints that hold what is kept, and pasting it back.

Masks are boolean (B, 1, H, W) "keep" masks: True is preserved, False is painted and made anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

MaskRule = Literal["safe", "nearest"]
Constraint = Callable[[Tensor, int], Tensor]


def keep_cells(keep: Tensor, stride: int, rule: MaskRule = "safe") -> Tensor:
    """The latent cells (B, 1, H/stride, W/stride) to keep, for a keep mask (B, 1, H, W) of pixels.

    "safe" keeps a cell only if none of its pixels is painted, so every painted pixel is made anew;
    "nearest" looks at one pixel per cell (top left), as plain nearest-neighbour resizing does.
    """
    if rule == "nearest":
        return keep[:, :, ::stride, ::stride]
    return ~(F.max_pool2d((~keep).float(), stride) > 0)


def clamp_to(anchor: Tensor, keep: Tensor) -> Constraint:
    """Constraint that puts the kept cells of a latent back to the clean `anchor` after every step.

    Args:
        anchor: (B, C, h, w), the posterior mean of the picture to keep.
        keep: (B, 1, h, w), True where cells are kept.
    """

    def constrain(latent: Tensor, t: int) -> Tensor:
        return torch.where(keep, anchor, latent)

    return constrain


def paste_kept(made: Tensor, original: Tensor, keep: Tensor) -> Tensor:
    """`original` where `keep`, `made` elsewhere: kept pixels stay identical to the upload, bit for bit."""
    return torch.where(keep, original, made)


def random_regions(batch: int, height: int, width: int) -> Tensor:
    """Regions (B, 1, height, width) such as people keep or paint: half planes, ellipses, boxes, strokes, inverses.

    Drawn from the global CPU generator, one shape per entry, covering anything from little to nearly all.
    """
    y = torch.linspace(-1, 1, height).view(1, height, 1)
    x = torch.linspace(-1, 1, width).view(1, 1, width)
    draw = torch.rand(8, batch, 1, 1)
    turn = draw[0] * 2 * torch.pi
    dx, dy = x - (draw[1] * 1.6 - 0.8), y - (draw[2] * 1.6 - 0.8)
    along, across = dx * turn.cos() + dy * turn.sin(), dy * turn.cos() - dx * turn.sin()
    long, short = 0.2 + draw[3], 0.15 + 0.7 * draw[4]

    ellipse = (along / long).square() + (across / short).square() < 1
    half_plane = (along > 0).expand_as(ellipse)
    box = (dx.abs() < long) & (dy.abs() < short)
    stroke = (along.abs() < 2 * long) & (across.abs() < 0.1 + 0.3 * draw[4])
    shapes = torch.stack([ellipse, half_plane, box, stroke])
    kind = (draw[5].flatten() * len(shapes)).long()
    region = shapes[kind, torch.arange(batch)] ^ (draw[6] < 0.5)
    return region.unsqueeze(1)
