"""One reverse step, a function per method: `step(context) -> latent`, from (B, C, h, w) at state t to the earlier state
s.

In the formulas alpha is sqrt(alpha_bar), sigma sqrt(1 - alpha_bar), and lambda ln(alpha / sigma), infinite at state 0,
where every method ends on the clean latent predicted.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ddpm_core.diffusion.diffuser import MOST_TIMESTEPS, Diffuser
from ddpm_core.diffusion.noise import Noise
from ddpm_core.diffusion.prediction import Prediction

StepFunction = Callable[["StepContext"], Tensor]
VarianceType = Literal["learned", "fixed_small", "fixed_large"]

# Signal-to-noise ratio r of a corrector's step: what Song et al. 2021 (section H.1) set for CIFAR-10 where variance
# explodes. Where it is preserved, as here, they found less best beside an ancestral predictor, 0.01 (table 5).
LANGEVIN_SNR = 0.16
MAX_TIMESTEP = MOST_TIMESTEPS - 1  # of any schedule: above it there is none


class State(NamedTuple):
    """A state passed through: latent (B, C, h, w) at `t`, and the clean latent predicted there."""

    t: int
    latent: Tensor
    denoised: Tensor


@dataclass(frozen=True)
class StepContext:
    """A reverse step about to be taken.

    Attributes:
        t, s: the timestep it leaves, and the earlier one it goes to.
        latent: (B, C, h, w) at state t.
        eps, denoised: the noise predicted in it, and the clean latent this implies.
        predict: one more call of the predictor, which no constraint holds.
        noise: the next draw (B, C, h, w).
        history: the last states that a multistep method left for itself.
    """

    diffuser: Diffuser
    t: int
    s: int
    latent: Tensor
    eps: Tensor
    denoised: Tensor
    variance: Tensor | None
    predict: Callable[[Tensor, int], Prediction]
    noise: Noise
    history: deque[State]

    def alpha_bars(self) -> tuple[float, float]:
        """alpha_bar at t and at s."""
        return self.diffuser.alpha_bar[self.t].item(), self.diffuser.alpha_bar[self.s].item()


def ddim_step(context: StepContext, eta: float = 0.0) -> Tensor:
    """Denoising diffusion implicit models (Song et al. 2021, "Denoising Diffusion Implicit Models").

    Args:
        eta: 0 is deterministic, 1 has the variance of ancestral sampling (Ho et al. 2020, eq. 7).
    """
    alpha_bar_t, alpha_bar_s = context.alpha_bars()
    # Eq. 16: variance = eta^2 (1 - alpha_bar_s) / (1 - alpha_bar_t) (1 - alpha_bar_t / alpha_bar_s)
    variance = eta**2 * (1 - alpha_bar_s) / (1 - alpha_bar_t) * (1 - alpha_bar_t / alpha_bar_s)
    # Eq. 12: z_s = alpha_s x0 + sqrt(sigma_s^2 - variance) eps + sqrt(variance) noise
    latent = alpha_bar_s**0.5 * context.denoised + (1 - alpha_bar_s - variance) ** 0.5 * context.eps  # (B, C, h, w)
    return latent + variance**0.5 * context.noise() if variance > 0 else latent


def ddpm_step(context: StepContext, variance_type: VarianceType = "learned") -> Tensor:
    """Ancestral sampling (Ho et al. 2020, algorithm 2), for steps of any length.

    Args:
        variance_type: "fixed_small", beta_tilde; "fixed_large", beta (Ho et al. 2020, section 3.2); "learned", between
            (Nichol & Dhariwal 2021, section 4), or small where the network says nothing.
    """
    learned = context.variance if variance_type == "learned" else None
    if context.s == 0 or (learned is None and variance_type != "fixed_large"):
        return ddim_step(context, eta=1.0)
    alpha_bar_t, alpha_bar_s = context.alpha_bars()
    beta = 1 - alpha_bar_t / alpha_bar_s
    beta_tilde = (1 - alpha_bar_s) / (1 - alpha_bar_t) * beta
    # Nichol & Dhariwal 2021, eq. 15: variance = exp(v log beta + (1 - v) log beta_tilde)
    v = torch.ones(()) if learned is None else learned  # () or (B, C, h, w)
    variance = beta_tilde ** (1 - v) * beta**v  # () or (B, C, h, w)
    mean = alpha_bar_s**0.5 * context.denoised + (1 - alpha_bar_s - beta_tilde) ** 0.5 * context.eps  # (B, C, h, w)
    return mean + variance.sqrt() * context.noise()


def euler_step(context: StepContext) -> Tensor:
    """Euler's method on the probability-flow ODE (Karras et al. 2022, eq. 4): DDIM (Song et al. 2021, eq. 14)."""
    alpha_bar_t, alpha_bar_s = context.alpha_bars()
    ratio_t, ratio_s = ((1 - alpha_bar_t) / alpha_bar_t) ** 0.5, ((1 - alpha_bar_s) / alpha_bar_s) ** 0.5
    # z_s / alpha_s = z_t / alpha_t + (sigma_s / alpha_s - sigma_t / alpha_t) eps
    return alpha_bar_s**0.5 * (context.latent / alpha_bar_t**0.5 + (ratio_s - ratio_t) * context.eps)


def heun_step(context: StepContext) -> Tensor:
    """Heun's method on the same ODE, second order, two calls a step (Karras et al. 2022, algorithm 1)."""
    guess = euler_step(context)  # (B, C, h, w)
    if context.s == 0:
        return guess
    # Algorithm 1: Euler's step again, by the mean of the slopes at its two ends
    return euler_step(replace(context, eps=(context.eps + context.predict(guess, context.s).eps) / 2))


def dpm_solver_pp_2m_step(context: StepContext) -> Tensor:
    """DPM-Solver++(2M), second order with one call a step (Lu et al. 2022, "DPM-Solver++", algorithm 2)."""
    alpha_bar_t, alpha_bar_s = context.alpha_bars()
    h, x0 = _second_order(context)
    # z_s = sigma_s / sigma_t z_t - alpha_s (e^-h - 1) D
    return ((1 - alpha_bar_s) / (1 - alpha_bar_t)) ** 0.5 * context.latent - alpha_bar_s**0.5 * math.expm1(-h) * x0


def sde_dpm_solver_pp_2m_step(
    context: StepContext, noise_above: int = 0, first_order_above: int = MAX_TIMESTEP
) -> Tensor:
    """SDE-DPM-Solver++(2M): the same on the reverse SDE, with fresh noise in every step (the same paper).

    Args:
        noise_above: from this timestep down none is added, as by DPM-Solver++(2M) (S_tmin in Karras et al. 2022).
        first_order_above: above this timestep steps are SDE-DPM-Solver++(1), which is DDIM with eta 1. While nearly
            all is noise, what carrying the prediction on carries on is mostly the noise just drawn, and samples
            spread too far.
    """
    if context.t <= noise_above:
        return dpm_solver_pp_2m_step(context)
    alpha_bar_t, alpha_bar_s = context.alpha_bars()
    h, x0 = _second_order(context)
    if context.s == 0:
        return x0
    if context.t > first_order_above:
        x0 = context.denoised
    # z_s = sigma_s / sigma_t e^-h z_t + alpha_s (1 - e^-2h) D + sigma_s sqrt(1 - e^-2h) noise
    fresh, sigma_s = -math.expm1(-2 * h), (1 - alpha_bar_s) ** 0.5
    kept = sigma_s / (1 - alpha_bar_t) ** 0.5 * math.exp(-h) * context.latent  # (B, C, h, w)
    return kept + alpha_bar_s**0.5 * fresh * x0 + sigma_s * fresh**0.5 * context.noise()


def _second_order(context: StepContext) -> tuple[float, Tensor]:
    """The step in lambda, and D, the clean latent (B, C, h, w) carried on to its middle from this and the last one."""
    lambda_t, lambda_s = context.diffuser.half_log_snr(context.t), context.diffuser.half_log_snr(context.s)
    h, x0 = lambda_s - lambda_t, context.denoised
    if context.history and context.s > 0:
        # D = (1 + 1 / 2r) x0 - 1 / 2r x0_before, with r the step before in units of this one
        before = context.history[-1]
        r = (lambda_t - context.diffuser.half_log_snr(before.t)) / h
        x0 = x0 + (x0 - before.denoised) / (2 * r)
    context.history.append(State(context.t, context.latent, context.denoised))
    return h, x0


def unipc_step(context: StepContext) -> Tensor:
    """UniPC-2 with B(h) = e^h - 1, data prediction, one call a step (Zhao et al. 2023, algorithms 1 and 2)."""
    diffuser, current = context.diffuser, State(context.t, context.latent, context.denoised)
    if context.history:  # the prediction at state t first corrects the step that led here
        *before, start = context.history
        corrected = unipc_update(diffuser, start, context.t, [*before, current])
        guess = unipc_update(diffuser, start, context.t, before)
        # As a difference, so that what a constraint did to the guess is not undone.
        current = current._replace(latent=current.latent + corrected - guess)
    nodes = list(context.history)[-1:] if context.s > 0 else []
    context.history.append(current)
    return unipc_update(diffuser, current, context.s, nodes)


def unipc_update(diffuser: Diffuser, start: State, s: int, nodes: Sequence[State]) -> Tensor:
    """UniPC's update from `start` to s (Zhao et al. 2023, theorem 3.1, for data prediction).

    z_s = sigma_s / sigma_t z_t - alpha_s (e^-h - 1) (x0 + sum_m a_m / r_m (x0_m - x0)), h the step in lambda, r_m where
    node m lies in units of it; the a_m match an order for each node.

    Args:
        nodes: up to two other states: behind, and for a corrector s itself.
    """
    alpha_bar_t, alpha_bar_s = diffuser.alpha_bar[start.t].item(), diffuser.alpha_bar[s].item()
    lambda_t = diffuser.half_log_snr(start.t)
    h = diffuser.half_log_snr(s) - lambda_t
    growth = math.expm1(-h)
    scaled = ((1 - alpha_bar_s) / (1 - alpha_bar_t)) ** 0.5 * start.latent  # (B, C, h, w)
    first_order = scaled - alpha_bar_s**0.5 * growth * start.denoised  # (B, C, h, w)
    if not nodes:
        return first_order
    ratios = [(diffuser.half_log_snr(node.t) - lambda_t) / h for node in nodes]
    if len(nodes) == 1:
        weights = [0.5]  # to this order it need not depend on the step, and their code's does not
    else:
        phi_1 = -growth / h - 1
        phi_2 = -phi_1 / h - 0.5
        matrix = torch.tensor([[1.0, 1.0], ratios], dtype=torch.float64)
        right_hand_side = torch.tensor([phi_1, 2 * phi_2], dtype=torch.float64) / growth
        weights = torch.linalg.solve(matrix, right_hand_side).tolist()
    correction = sum(
        weight / ratio * (node.denoised - start.denoised)
        for weight, ratio, node in zip(weights, ratios, nodes, strict=True)
    )
    return first_order - alpha_bar_s**0.5 * growth * correction  # (B, C, h, w)


def langevin_step(context: StepContext, snr: float = LANGEVIN_SNR, variance_type: VarianceType = "learned") -> Tensor:
    """A predictor-corrector step (Song et al. 2021, "Score-based generative modeling", algorithms 1 and 5).

    Args:
        snr: the corrector's signal-to-noise ratio r.
        variance_type: as for `ddpm_step`.
    """
    latent = ddpm_step(context, variance_type)  # (B, C, h, w)
    if context.s == 0:
        return latent
    _, alpha_bar_s = context.alpha_bars()
    # Norms are each picture's own, not their mean over the batch: no picture depends on others.
    score = -context.predict(latent, context.s).eps / (1 - alpha_bar_s) ** 0.5  # (B, C, h, w)
    noise = context.noise()  # (B, C, h, w)
    # Algorithm 5: size = 2 (1 - beta) (r |noise| / |score|)^2, z_s = z + size score + sqrt(2 size) noise
    ratio = _norm(noise) / _norm(score).clamp_min(torch.finfo(score.dtype).tiny)  # (B, 1, 1, 1)
    size = 2 * (1 - context.diffuser.betas[context.s].item()) * (snr * ratio).square()  # (B, 1, 1, 1)
    return latent + size * score + (2 * size).sqrt() * noise


def lcm_step(context: StepContext) -> Tensor:
    """Multistep consistency sampling (Song et al. 2023, algorithm 1; Luo et al. 2023, "Latent Consistency Models",
    algorithm 3).

    For networks that learned it (`--denoiser-learns consistency`); of others pictures come out smooth.
    """
    if context.s == 0:
        return context.denoised
    alpha_bar_s = context.diffuser.alpha_bar[context.s].item()
    # z_s = alpha_s x0 + sigma_s noise
    return alpha_bar_s**0.5 * context.denoised + (1 - alpha_bar_s) ** 0.5 * context.noise()  # (B, C, h, w)


# They call the predictor a second time, where the step ends, but for the last.
TWO_CALLS: tuple[StepFunction, ...] = (heun_step, langevin_step)


def _norm(batch: Tensor) -> Tensor:
    return batch.flatten(1).norm(dim=1).view(-1, *[1] * (batch.ndim - 1))  # (B, 1, 1, 1)
