"""Noise: functions that give the next draw (B, C, h, w), the first of which starts a sampler."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

Noise = Callable[[], Tensor]


class SeededNoise:
    """Gaussian noise in which every picture has its own seed and CPU generator: the same in any batch, on any device.

    Args:
        seeds: one per picture.
        shape: (C, h, w) of one latent.
    """

    def __init__(self, seeds: Iterable[int], shape: Sequence[int], device: torch.device | str = "cpu"):
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.shape, self.device = tuple(shape), device

    def __call__(self) -> Tensor:
        """The next draw, (B, C, h, w)."""
        return torch.stack([torch.randn(self.shape, generator=g) for g in self.generators]).to(self.device)


def starting_at(start: Tensor, noise: Noise) -> Noise:
    """Noise whose first draw is `start` (B, C, h, w), where a sampler then begins."""

    def draws() -> Iterator[Tensor]:
        yield start
        while True:
            yield noise()

    return draws().__next__


def interpolated(first: Noise, second: Noise, fraction: float | Tensor) -> Noise:
    """Noise between two others (`slerp`), from which a sampler makes pictures between theirs."""
    return lambda: slerp(first(), second(), fraction)


def slerp(first: Tensor, second: Tensor, fraction: float | Tensor) -> Tensor:
    """Spherical linear interpolation (Shoemake 1985, section 3.3), for each entry of a batch.

    It keeps the length of Gaussian noise (Song et al. 2021, "Denoising diffusion implicit models", section 5.3).

    Args:
        first, second: (B, ...).
        fraction: from `first` (0) to `second` (1): a number, or (B,).
    """
    shape = (-1,) + (1,) * (first.ndim - 1)
    fraction = torch.as_tensor(fraction, dtype=first.dtype, device=first.device).view(shape)  # (1 or B, 1, ...)
    cosine = torch.cosine_similarity(first.flatten(1), second.flatten(1)).view(shape)  # (B, 1, ...)
    angle = cosine.clamp(-1, 1).acos()  # (B, 1, ...)
    sine = angle.sin()
    # Where the sine is lost in rounding, so is the difference to the line.
    straight = sine < torch.finfo(first.dtype).eps ** 0.5
    # sin((1 - s) a) / sin(a) first + sin(s a) / sin(a) second, s the fraction and a the angle
    weight, other = (
        torch.where(straight, s, (s * angle).sin() / sine.where(~straight, 1)) for s in (1 - fraction, fraction)
    )
    return weight * first + other * second  # (B, ...)
