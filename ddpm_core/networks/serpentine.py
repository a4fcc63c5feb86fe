"""Serpentine mixing: a selective linear recurrence along paths over a grid of cells.

A path visits every cell once, neighbour by neighbour, and carries information on at linear cost, where attention pays
the square.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn

from ddpm_core.networks.gated_scan import ScanPaths, gated_scan
from ddpm_core.networks.layers import ResidualLinear, reads_apart, starting_at_zero

DIRECTIONS = 8


def scan_paths(height: int, width: int) -> ScanPaths:
    """The eight paths over `height` x `width` cells; cell (y, x) is number `y * width + x`.

    Rows, columns, diagonals, anti-diagonals, then these backwards.
    """
    cells = torch.arange(height * width).view(height, width)  # (h, w)
    forward = [_snake_rows(cells), _snake_rows(cells.T), _snake_diagonals(cells), _snake_diagonals(cells.flip(1))]
    return ScanPaths.of(torch.stack(forward + [path.flip(0) for path in forward]))  # (8, height*width)


def _snake_rows(cells: Tensor) -> Tensor:
    """Left to right, then right to left, row by row."""
    return torch.cat([row if i % 2 == 0 else row.flip(0) for i, row in enumerate(cells)])


def _snake_diagonals(cells: Tensor) -> Tensor:
    """As JPEG's zigzag: diagonal by diagonal from corner to corner."""
    height, width = cells.shape
    flipped = cells.flip(0)
    diagonals = [flipped.diagonal(k) for k in range(1 - height, width)]
    return torch.cat([d if i % 2 == 0 else d.flip(0) for i, d in enumerate(diagonals)])


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _paths_on(device: torch.device, height: int, width: int) -> ScanPaths:
    return scan_paths(height, width).to(device)


def scan(projected: Tensor, height: int, width: int) -> Tensor:
    """`gated_scan` of (B, H*W, 3C) along the eight paths: (B, H*W, C)."""
    return gated_scan(projected, _paths_on(projected.device, height, width))


@torch.no_grad()
def spread_time_scales(project: nn.Linear) -> None:
    """Have a new projection remember for 1 to 64 cells, spread over a path's channels.

    Raises:
        ValueError: eight paths cannot share the channels.
    """
    values, deltas, _ = project.bias.chunk(3)  # (C,) each
    if len(values) % DIRECTIONS:
        raise ValueError(f"a serpentine mixer needs a multiple of {DIRECTIONS} channels, not {len(values)}")
    keep = 1 - 1 / torch.logspace(0, 6, len(values) // DIRECTIONS, base=2).clamp_min(1.5)  # (C/8,)
    values.zero_()
    deltas.copy_(torch.logit(1 - keep).repeat(DIRECTIONS))  # (C,)


class SerpentineMixer(nn.Module):
    """Mixes all cells of (B, C, H, W) along eight serpentine paths; starts as the identity.

    A selective state space of size one under zero-order hold (Gu & Dao 2023, "Mamba", Theorem 1), since
    exp(-softplus(x)) = sigmoid(-x).

    Raises:
        ValueError: C is no multiple of 8.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.project = nn.Linear(channels, 3 * channels)  # C values u, C step sizes delta, C gates
        self.out = starting_at_zero(ResidualLinear(channels, channels))
        spread_time_scales(self.project)
        reads_apart(self, "project", ("propose", "gate"))

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        tokens = x.permute(0, 2, 3, 1).flatten(1, 2)  # (B, H*W, C)
        mixed = scan(self.project(self.norm(tokens)), height, width)  # (B, H*W, C)
        return self.out(mixed, tokens).unflatten(1, (height, width)).permute(0, 3, 1, 2)  # (B, C, H, W)
