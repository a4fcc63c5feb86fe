"""Which states a sampler passes through when it takes fewer steps than there are.

`spacing(alpha_bar (N,), steps) -> positions`, (steps+1,) float64 from 0 up to N-1; a new one is a function here and a
line in `SPACINGS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

Spacing = Callable[..., Tensor]
RHO = 7.0  # Karras et al. 2022, table 1
EXPONENT = 1.25  # of the shipped faces


def uniform(alpha_bar: Tensor, steps: int) -> Tensor:
    """t_i = (N-1) i / steps (Lin et al. 2024, table 2, "trailing")."""
    # Counted from the end, so that halves round as they always did and a seed keeps its picture.
    return torch.linspace(len(alpha_bar) - 1, 0, steps + 1, dtype=torch.float64).flip(0)


def quadratic(alpha_bar: Tensor, steps: int) -> Tensor:
    """t_i = (N-1) (i / steps)^2 (Song et al. 2021, "Denoising diffusion implicit models", section D.2, unnumbered)."""
    return power(alpha_bar, steps, exponent=2)


def power(alpha_bar: Tensor, steps: int, exponent: float = EXPONENT) -> Tensor:
    """t_i = (N-1) (i / steps)^exponent: between uniform (1) and quadratic (2).

    Args:
        exponent: the larger, the more steps where the picture is nearly clean.
    """
    return (len(alpha_bar) - 1) * torch.linspace(0, 1, steps + 1, dtype=torch.float64) ** exponent


def even_logsnr(alpha_bar: Tensor, steps: int) -> Tensor:
    """lambda_i = lambda_1 + (i-1) / (steps-1) (lambda_{N-1} - lambda_1), i from 1, then state 0, which has no noise.

    Lu et al. 2022, "DPM-Solver", section "Step Size Schedule", unnumbered; lambda is half the log signal-to-noise
    ratio.
    """
    log_snr = torch.logit(alpha_bar[1:]).numpy()  # (N - 1,)
    targets = np.linspace(log_snr[0], log_snr[-1], steps) if steps > 1 else log_snr[-1:]  # (steps,)
    # `np.interp` wants what it looks up in to rise; the ratio falls.
    states = np.interp(-targets, -log_snr, np.arange(1, len(alpha_bar)))  # (steps,)
    return torch.from_numpy(np.concatenate([[0.0], states]))


def karras(alpha_bar: Tensor, steps: int, rho: float = RHO) -> Tensor:
    """sigma_i = (sigma_1^(1/rho) + (i-1) / (steps-1) (sigma_{N-1}^(1/rho) - sigma_1^(1/rho)))^rho, i from 1, then state
    0.

    Karras et al. 2022, eq. 5; sigma is the noise-to-signal ratio.

    Args:
        rho: the larger, the more steps where the picture is nearly clean.
    """
    scale = ((1 - alpha_bar[1:]) / alpha_bar[1:]).numpy() ** (0.5 / rho)  # rises with the state
    targets = np.linspace(scale[0], scale[-1], steps) if steps > 1 else scale[-1:]
    return torch.from_numpy(np.concatenate([[0.0], np.interp(targets, scale, np.arange(1, len(alpha_bar)))]))


SPACINGS: dict[str, Spacing] = {
    "uniform": uniform,
    "quadratic": quadratic,
    "power": power,
    "logsnr": even_logsnr,
    "karras": karras,
}
SPACING_ALIASES = {"trailing": "uniform"}  # diffusers' for it


def churned_timesteps(timesteps: Sequence[int], alpha_bar: Tensor, churn: float) -> list[int]:
    """`timesteps` with a rise before every step but the first: fresh noise in place of some of the old.

    Karras et al. 2022, algorithm 2, without their limits and with S_noise 1: the noise-to-signal ratio grows by gamma =
    min(churn / steps, sqrt(2) - 1), to the nearest state.

    Args:
        timesteps: falling to 0.
        churn: S_churn, from 0.
    """
    gamma = min(churn / max(1, len(timesteps) - 1), 2**0.5 - 1)
    ratio = ((1 - alpha_bar) / alpha_bar).sqrt()  # (N,), rising
    path = list(timesteps[:1])
    for s in timesteps[1:]:
        path.append(s)
        risen = int((ratio - (1 + gamma) * ratio[s]).abs().argmin())
        if s > 0 and risen > s:
            path.append(risen)
    return path


def distinct(positions: Tensor, states: int) -> list[int]:
    """Rising positions from 0 to `states`-1 as falling whole ones; equal ones move on to the next free."""
    count = torch.arange(len(positions))  # (steps + 1,)
    ahead = (positions.round().long() - count).cummax(0).values.clamp_max(states - len(positions))
    return (ahead + count).flip(0).tolist()
