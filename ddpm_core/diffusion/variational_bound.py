"""The variational bound on -log p(clean), term by term, in bits per entry (Ho et al. 2020, eq. 5), and the variance of
the reverse steps in it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ddpm_core.diffusion.diffuser import Diffuser

BITS = 1 / math.log(2)  # in a nat


def log_variances(diffuser: Diffuser, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """Logarithms of beta~ and beta for steps from `t` (B,) to t-1, shaped to multiply `like` (Ho et al. 2020, section
    3.2).

    For t = 1 beta~ is 0; that of t = 2 stands in (Nichol & Dhariwal 2021, in their code).
    """
    steps = diffuser.within(t, least=1)
    most = diffuser.betas[steps]  # (B,)
    at = steps.clamp_min(min(2, diffuser.num_timesteps - 1))
    least = (1 - diffuser.alpha_bar[at - 1]) / (1 - diffuser.alpha_bar[at]) * diffuser.betas[at]  # (B,)
    least = torch.where(least > 0, least, most)  # of a diffuser with one step
    shape = (-1,) + (1,) * (like.ndim - 1)
    return least.log().view(shape).to(like), most.log().view(shape).to(like)


def log_variance(diffuser: Diffuser, t: Tensor, like: Tensor, variance: Tensor | None = None) -> Tensor:
    """Logarithm of the variance of the model's steps from `t` (B,) to t-1 (Nichol & Dhariwal 2021, eq. 15).

    Args:
        like: (B, ...), what the result multiplies.
        variance: 0 for the least, 1 for the greatest, shaped as `like`; None is 0.
    """
    least, most = log_variances(diffuser, t, like)
    return least if variance is None else variance * most + (1 - variance) * least


def step_bits(clean: Tensor, denoised: Tensor, t: Tensor, diffuser: Diffuser, variance: Tensor | None = None) -> Tensor:
    """The bound's terms for the steps from `t` (B,) to t-1: (B, C, h, w), bits.

    For t > 1, the divergence of the model's step from that of a known picture, L_{t-1}; for t = 1, minus the log
    density of `clean`. For 8-bit pixels see `likelihood`.

    Args:
        clean, denoised: (B, C, h, w), the latent, and what the model takes it for.
        variance: `Prediction.variance`.

    Raises:
        ValueError: a timestep is not in 1..N-1.
    """
    shape, steps = (-1,) + (1,) * (clean.ndim - 1), diffuser.within(t, least=1)
    scale = diffuser.alpha_bar[steps - 1].sqrt() * diffuser.betas[steps] / (1 - diffuser.alpha_bar[steps])  # eq. 7
    apart = scale.view(shape).to(clean) * (clean - denoised)  # (B, C, h, w)
    ours, theirs = log_variance(diffuser, t, clean, variance), log_variances(diffuser, t, clean)[0]
    missed = apart.square() * torch.exp(-ours) + ours  # (B, C, h, w)
    divergence = missed - theirs + torch.exp(theirs - ours) - 1
    density = missed + math.log(2 * math.pi)
    return 0.5 * BITS * torch.where((t == 1).view(shape), density, divergence)


def prior_bits(clean: Tensor, diffuser: Diffuser) -> Tensor:
    """The bound's last term, L_T: how far state N-1 of `clean` is from noise, (B, C, h, w), bits."""
    left = diffuser.alpha_bar[-1].item()
    return 0.5 * BITS * (left * clean.square() - left - math.log1p(-left))
