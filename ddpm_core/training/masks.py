"""Masks for training: regions such as people paint, or leave."""

from __future__ import annotations

import torch
from torch import Tensor


def random_masks(batch: int, height: int, width: int) -> Tensor:
    """Regions (B, 1, height, width) such as people keep or paint: half planes, ellipses, boxes, strokes, inverses.

    From the global CPU generator.
    """
    y = torch.linspace(-1, 1, height).view(1, height, 1)  # (1, H, 1)
    x = torch.linspace(-1, 1, width).view(1, 1, width)  # (1, 1, W)
    draw = torch.rand(8, batch, 1, 1)  # of what each region is, (8, B, 1, 1)
    turn = draw[0] * 2 * torch.pi  # (B, 1, 1)
    dx, dy = x - (draw[1] * 1.6 - 0.8), y - (draw[2] * 1.6 - 0.8)  # (B, 1, W), (B, H, 1)
    along, across = dx * turn.cos() + dy * turn.sin(), dy * turn.cos() - dx * turn.sin()  # (B, H, W) each
    long, short = 0.2 + draw[3], 0.15 + 0.7 * draw[4]  # (B, 1, 1) each

    ellipse = (along / long).square() + (across / short).square() < 1
    half_plane = (along > 0).expand_as(ellipse)
    box = (dx.abs() < long) & (dy.abs() < short)
    stroke = (along.abs() < 2 * long) & (across.abs() < 0.1 + 0.3 * draw[4])
    shapes = torch.stack([ellipse, half_plane, box, stroke])  # bool (4, B, H, W)
    kind = (draw[5].flatten() * len(shapes)).long()  # (B,)
    mask = shapes[kind, torch.arange(batch)] ^ (draw[6] < 0.5)  # (B, H, W)
    return mask.unsqueeze(1)  # (B, 1, H, W)


def masks_around_the_middle(batch: int, height: int, width: int) -> Tensor:
    """Regions (B, 1, height, width), all but an upright ellipse near the middle, where a portrait has its face.

    From the global CPU generator.
    """
    y = torch.linspace(-1, 1, height).view(1, height, 1)  # (1, H, 1)
    x = torch.linspace(-1, 1, width).view(1, 1, width)  # (1, 1, W)
    dx, dy, wide, high = torch.rand(4, batch, 1, 1)  # (B, 1, 1) each
    across, along = x - 0.3 * (dx - 0.5), y - 0.3 * (dy - 0.5)  # (B, 1, W), (B, H, 1)
    outside = (across / (0.4 + 0.5 * wide)).square() + (along / (0.5 + 0.5 * high)).square() >= 1
    return outside.unsqueeze(1)  # (B, 1, H, W)
