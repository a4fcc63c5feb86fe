"""Conditioning by concatenation: a second latent beside the noisy one in the network's input.

Saharia et al. 2021, "Image Super-Resolution via Iterative Refinement", section 2.3; for latents Rombach et al. 2022,
section 3.3.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ddpm_core.diffusion.prediction import Network


def with_augmentation(condition: Tensor, level: Tensor, noise: Tensor) -> Tensor:
    """A condition as a network is shown it, noised, and one channel that says how much: (B, C + 1, h, w).

    Noise-conditioning augmentation (Ho et al. 2022, "Cascaded Diffusion Models", section 4.2).

    Args:
        condition, noise: (B, C, h, w).
        level: (B,), the noise's deviation, 0 for none to 1 for nothing else; the variance is preserved.
    """
    level = level.to(condition)[:, None, None, None]  # (B, 1, 1, 1)
    noised = (1 - level.square()).sqrt() * condition + level * noise  # (B, C, h, w)
    return torch.cat([noised, level.expand(-1, 1, *condition.shape[2:])], dim=1)  # (B, C + 1, h, w)


class Conditioned:
    """A network with its condition in place, called with noisy latents alone.

    Args:
        network: takes latents (B, C + K, h, w).
        condition: (n, K, h, w), for batches of n or of several times n, one after the other.
    """

    def __init__(self, network: Network, condition: Tensor):
        self.network, self.condition, self.prediction = network, condition, network.prediction

    def __call__(self, noisy: Tensor, t: Tensor, *asked: Tensor | None) -> Tensor:
        """The raw output for `noisy` (B, C, h, w)."""
        condition = self.condition.repeat(len(noisy) // len(self.condition), 1, 1, 1).to(noisy)  # (B, K, h, w)
        return self.network(torch.cat([noisy, condition], dim=1), t, *asked)  # (B, C or 2C, h, w)


class Windowed:
    """A network of one size, asked window by window for larger latents, at every step.

    Overlaps of at least a quarter are averaged, weighted less nearer to a border (Bar-Tal et al. 2023,
    "MultiDiffusion", eq. 5).

    Args:
        network: takes latents (B, ..., side, side).
        side: of a window, cells.
    """

    def __init__(self, network: Network, side: int):
        self.network, self.side, self.prediction = network, side, network.prediction

    def __call__(self, noisy: Tensor, t: Tensor, *asked: Tensor | None) -> Tensor:
        """The raw output for `noisy` (B, ..., h, w), h and w at least `side`."""
        height, width = noisy.shape[2:]
        if (height, width) == (self.side, self.side):
            return self.network(noisy, t, *asked)
        ramp = (torch.arange(self.side) + 0.5 - self.side / 2).abs()  # (side,)
        ramp = (self.side / 2 - ramp).to(noisy)  # 0.5 at the borders, above anywhere else
        weight = ramp[:, None] * ramp  # (side, side)
        total: Tensor | None = None
        weights = noisy.new_zeros(height, width)  # (h, w)
        for top in starts(height, self.side):
            for left in starts(width, self.side):
                window = (..., slice(top, top + self.side), slice(left, left + self.side))
                output = self.network(noisy[window], t, *asked)  # (B, C or 2C, side, side)
                if total is None:
                    total = output.new_zeros(*output.shape[:2], height, width)
                total[window] += output * weight
                weights[window] += weight
        assert total is not None
        return total / weights  # (B, C or 2C, h, w)


def windows(width: int, height: int, side: int) -> int:
    """How many windows of `side` cover as much, in cells or pixels: calls of the network a step."""
    return math.prod(len(list(starts(extent, side))) for extent in (width, height))


def starts(extent: int, side: int) -> Iterator[int]:
    """Where windows of `side` cells begin that cover `extent`, evenly spread, overlapping by a quarter or more."""
    beyond = extent - side
    count = -(-beyond * 4 // (3 * side))  # further windows
    yield from (round(number * beyond / max(1, count)) for number in range(count + 1))
