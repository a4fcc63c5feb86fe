"""Noise schedules: `schedule(steps, beta_start, beta_end) -> betas`, the variance each noising step adds: (steps,)
float64 in (0, 1).

A new one is a function here and a line in `SCHEDULES`. In formulas u_i runs evenly from 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Schedule = Callable[[int, float, float], Tensor]

MAX_BETA = 0.999  # Nichol & Dhariwal 2021, section 3.2: the last steps would otherwise be singular


def linear(steps: int, beta_start: float, beta_end: float) -> Tensor:
    """beta_i = beta_start + u_i (beta_end - beta_start) (Ho et al. 2020, section 4, unnumbered)."""
    return torch.linspace(beta_start, beta_end, steps, dtype=torch.float64)


def scaled_linear(steps: int, beta_start: float, beta_end: float) -> Tensor:
    """beta_i = (sqrt(beta_start) + u_i (sqrt(beta_end) - sqrt(beta_start)))^2 (Rombach et al. 2022, latent diffusion's
    code).

    It keeps more of the picture for longer than `linear`.
    """
    return torch.linspace(beta_start**0.5, beta_end**0.5, steps, dtype=torch.float64).square()


def cosine(steps: int, beta_start: float, beta_end: float) -> Tensor:
    """alpha_bar falls like a squared cosine (Nichol & Dhariwal 2021, eq. 17, s = 0.008); given betas are not used."""
    time = torch.linspace(0, 1, steps + 1, dtype=torch.float64)  # (steps + 1,)
    left = torch.cos((time + 0.008) / 1.008 * math.pi / 2).square()  # (steps + 1,)
    return (1 - left[1:] / left[:-1]).clamp_max(MAX_BETA)


def sigmoid(steps: int, beta_start: float, beta_end: float) -> Tensor:
    """beta_i = beta_start + (beta_end - beta_start) / (1 + exp(6 - 12 u_i)) (Xu et al. 2022, GeoDiff's code,
    unnumbered).
    """
    return torch.linspace(-6, 6, steps, dtype=torch.float64).sigmoid() * (beta_end - beta_start) + beta_start


def flow(steps: int, beta_start: float, beta_end: float) -> Tensor:
    """Betas of rectified flow's line from picture to noise, (1 - u) x0 + u eps, u = t / N (Liu et al. 2022, eq. 1).

    Divided by sqrt((1 - u)^2 + u^2) for unit variance, which leaves DDIM's step Euler's along the line (Gao et al.
    2024, "Diffusion Meets Flow Matching"). Given betas are not used.
    """
    u = torch.arange(steps + 1, dtype=torch.float64) / (steps + 1)  # (steps + 1,)
    left = (1 - u).square() / ((1 - u).square() + u.square())  # (steps + 1,)
    return 1 - left[1:] / left[:-1]


def variance_exploding(steps: int, beta_start: float, beta_end: float) -> Tensor:
    """Betas of x0 + sigma eps, sigma from 0.01 to 50 in equal ratios (Song et al. 2021, "Score-based generative
    modeling", eq. 9 and section C).

    Divided by sqrt(1 + sigma^2) for unit variance. Given betas are not used.
    """
    sigma = torch.linspace(math.log(0.01), math.log(50), steps, dtype=torch.float64).exp()  # (steps,)
    left = torch.cat([torch.ones(1, dtype=torch.float64), 1 / (1 + sigma.square())])  # (steps + 1,)
    return 1 - left[1:] / left[:-1]


SCHEDULES: dict[str, Schedule] = {
    "linear": linear,
    "scaled-linear": scaled_linear,
    "cosine": cosine,
    "sigmoid": sigmoid,
    "flow": flow,
    "ve": variance_exploding,
}
SCHEDULE_ALIASES = {"quadratic": "scaled-linear"}  # an older one for it, which checkpoints and command lines have
