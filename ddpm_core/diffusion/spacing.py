"""Which states a sampler passes through when it takes fewer steps than there are.

A spacing is `spacing(alpha_bar (N,), steps) -> positions`, (steps+1,) float64 from 0 up to N-1, not yet whole; a new
one is a function here and a line in `SPACINGS`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

Spacing = Callable[[Tensor, int], Tensor]


def uniform(alpha_bar: Tensor, steps: int) -> Tensor:
    """Evenly over the timesteps, ends included: t_i = (N-1) i / steps. Lin et al. 2024, table 2, call it trailing."""
    # Counted from the end, so that halves round as they always did and a seed keeps its picture.
    return torch.linspace(len(alpha_bar) - 1, 0, steps + 1, dtype=torch.float64).flip(0)


def quadratic(alpha_bar: Tensor, steps: int) -> Tensor:
    """t_i = (N-1) (i / steps)^2, denser where the picture is nearly clean (Song et al. 2021, "Denoising diffusion
    implicit
    models", section D.2, unnumbered).
    """
    return (len(alpha_bar) - 1) * torch.linspace(0, 1, steps + 1, dtype=torch.float64).square()


def even_logsnr(alpha_bar: Tensor, steps: int) -> Tensor:
    """Evenly in the logarithm of the signal-to-noise ratio (Lu et al. 2022, "DPM-Solver", section "Step Size Schedule",
    unnumbered): lambda_i = lambda_1 + (i-1) / (steps-1) (lambda_{N-1} - lambda_1), i from 1.

    The clean state has no noise, so the last step leads from state 1 on to 0.
    """
    log_snr = torch.logit(alpha_bar[1:]).numpy()
    targets = np.linspace(log_snr[0], log_snr[-1], steps) if steps > 1 else log_snr[-1:]
    # `np.interp` wants what it looks up in to rise; the ratio falls.
    states = np.interp(-targets, -log_snr, np.arange(1, len(alpha_bar)))
    return torch.from_numpy(np.concatenate([[0.0], states]))


SPACINGS: dict[str, Spacing] = {
    "uniform": uniform,
    "quadratic": quadratic,
    "logsnr": even_logsnr,
}
SPACING_ALIASES = {"trailing": "uniform"}  # diffusers' for it


def distinct(positions: Tensor, states: int) -> list[int]:
    """Rising positions from 0 to `states`-1 rounded to whole ones, falling; equal ones move on to the next free."""
    count = torch.arange(len(positions))
    ahead = (positions.round().long() - count).cummax(0).values.clamp_max(states - len(positions))
    return (ahead + count).flip(0).tolist()
