"""Conditioning by concatenation: a second latent stands beside the noisy one in the network's input.

So a picture is made that goes with another (Saharia et al. 2021, "Image Super-Resolution via Iterative Refinement",
section 2.3; for latents Rombach et al. 2022, section 3.3). What comes out is a network like any other, so predictors,
their wrappers and samplers need not know.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ddpm_core.diffusion.prediction import Network


def with_augmentation(condition: Tensor, level: Tensor, noise: Tensor) -> Tensor:
    """What a network is shown of a condition: it, noised, and one channel that says how much, (B, C + 1, h, w).

    Noise-conditioning augmentation (Ho et al. 2022, "Cascaded Diffusion Models", section 4.2): who learned from worse
    conditions than it is given does not take the flaws of a given one for the picture's. A network that is told the
    level can be shown clean ones.

    Args:
        condition, noise: (B, C, h, w).
        level: (B,), the noise's deviation, 0 for none to 1 for nothing else; the variance is preserved.
    """
    level = level.to(condition)[:, None, None, None]  # (B, 1, 1, 1)
    noised = (1 - level.square()).sqrt() * condition + level * noise  # (B, C, h, w)
    return torch.cat([noised, level.expand(-1, 1, *condition.shape[2:])], dim=1)


class Conditioned:
    """A network with its condition in place: called with noisy latents alone, as one that knows of none.

    Args:
        network: takes latents (B, C + K, h, w).
        condition: (n, K, h, w), for batches of n, or of several times n laid one after the other, as guidance does.
    """

    def __init__(self, network: Network, condition: Tensor):
        self.network, self.condition, self.prediction = network, condition, network.prediction

    def __call__(self, noisy: Tensor, t: Tensor, *asked: Tensor | None) -> Tensor:
        """The raw output for `noisy` (B, C, h, w); see `prediction.Network`."""
        condition = self.condition.repeat(len(noisy) // len(self.condition), 1, 1, 1).to(noisy)  # (B, K, h, w)
        return self.network(torch.cat([noisy, condition], dim=1), t, *asked)


class Windowed:
    """A network that knows one size, for latents of any at least as large: asked window by window, at every step.

    Windows overlap by at least a quarter, and where they do the outputs are averaged, the less of one the nearer its
    border is (Bar-Tal et al. 2023, "MultiDiffusion", eq. 5), so they agree step by step and leave no seams.

    Args:
        network: takes latents (B, ..., side, side).
        side: of a window, cells.
    """

    def __init__(self, network: Network, side: int):
        self.network, self.side, self.prediction = network, side, network.prediction

    def __call__(self, noisy: Tensor, t: Tensor, *asked: Tensor | None) -> Tensor:
        """The raw output for `noisy` (B, ..., h, w); see `prediction.Network`."""
        height, width = noisy.shape[2:]
        if (height, width) == (self.side, self.side):
            return self.network(noisy, t, *asked)
        ramp = (torch.arange(self.side) + 0.5 - self.side / 2).abs()
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
        return total / weights


def windows(width: int, height: int, side: int) -> int:
    """How many windows of `side` cover as much, in cells or in pixels: calls of the network a step (`Windowed`)."""
    return math.prod(len(list(starts(extent, side))) for extent in (width, height))


def starts(extent: int, side: int) -> Iterator[int]:
    """Where windows of `side` cells begin that cover `extent`, evenly spread, each next one at most 3/4 `side` on."""
    beyond = extent - side
    count = -(-beyond * 4 // (3 * side))  # further windows
    yield from (round(number * beyond / max(1, count)) for number in range(count + 1))
