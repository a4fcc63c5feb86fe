"""Rules for one reverse step: from a latent at one state to the latent at an earlier one.

A rule is `rule(move) -> latent`. It looks at the state it leaves, which `Move` holds, and knows nothing of the loop
around it; `samplers.reverse` makes a sampler of it.

In the formulas alpha is sqrt(alpha_bar), sigma is sqrt(1 - alpha_bar), and lambda is ln(alpha / sigma), half the
logarithm of the signal-to-noise ratio; it is infinite at state 0, where every rule ends on the clean latent that the
predictor believes in.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.noise import Noise

Predictor = Callable[[Tensor, Tensor], Tensor]  # predict(z_t (B,C,h,w), t (B,)) -> eps (B,C,h,w)
Rule = Callable[["Move"], Tensor]

# Signal-to-noise ratio r of a corrector's step: what Song et al. 2021 (section H.1) set for CIFAR-10 where variance
# explodes. Where it is preserved, as here, they found less best beside an ancestral predictor, 0.01 (table 5).
LANGEVIN_SNR = 0.16


@dataclass(frozen=True)
class WithVariance:
    """A predictor that can say in the same call what variance a reverse step has; one like any other if not asked.

    Attributes:
        both: takes what the predictor takes, and gives the noise and the share (B, C, h, w) at which the variance lies
            between its bounds (v of Nichol & Dhariwal 2021, eq. 15); None as the share if it did not learn one.
    """

    both: Callable[..., tuple[Tensor, Tensor | None]]

    def __call__(self, noisy: Tensor, t: Tensor, *told: Tensor | None) -> Tensor:
        return self.both(noisy, t, *told)[0]


def noise_and_share(
    predict: Callable[..., Tensor], noisy: Tensor, t: Tensor, *told: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """What a predictor says of the noise and, if it can, of the variance (see `WithVariance`), in one call."""
    if isinstance(predict, WithVariance):
        return predict.both(noisy, t, *told)
    return predict(noisy, t, *told), None


class Point(NamedTuple):
    """A state passed through: timestep, latent (B, C, h, w), and the clean latent believed in there."""

    t: int
    latent: Tensor
    denoised: Tensor


@dataclass(frozen=True)
class Move:
    """A reverse step about to be taken.

    Attributes:
        diffuser: the noise schedule.
        t, earlier: the state it leaves and the one it goes to.
        latent: (B, C, h, w) at state t.
        eps, denoised: the noise in it, as predicted, and the clean latent that this implies.
        look: the noise predicted in any latent (B, C, h, w) at any state: one more call of the predictor. What a rule
            shows it within a step is not constrained; constraints hold where steps end.
        noise: the next draw of fresh noise (B, C, h, w).
        trail: the last points that a multistep rule left here for itself; empty at the start of a descent, so also
            where timesteps rose, since what was believed before the noise was added fits no more.
        share: (B, C, h, w), where the step's variance lies between its bounds, of a predictor that learned it.
    """

    diffuser: Diffuser
    t: int
    earlier: int
    latent: Tensor
    eps: Tensor
    denoised: Tensor
    look: Callable[[Tensor, int], Tensor]
    noise: Noise
    trail: deque[Point]
    share: Tensor | None = None

    def alpha_bar(self) -> tuple[float, float]:
        """alpha_bar at state t and at the earlier one."""
        return self.diffuser.alpha_bar[self.t].item(), self.diffuser.alpha_bar[self.earlier].item()


def implicit(move: Move, eta: float = 0.0) -> Tensor:
    """Denoising diffusion implicit models (Song et al. 2021, eqs. 12 and 16).

    Args:
        eta: 0 for the deterministic process, 1 for the variance of ancestral sampling (Ho et al. 2020, eq. 7).
    """
    now, then = move.alpha_bar()
    variance = eta**2 * (1 - then) / (1 - now) * (1 - now / then)
    latent = then**0.5 * move.denoised + (1 - then - variance) ** 0.5 * move.eps
    return latent + variance**0.5 * move.noise() if variance > 0 else latent


def ancestral(move: Move) -> Tensor:
    """Ancestral sampling (Ho et al. 2020, algorithm 2, with the posterior variance of eq. 7).

    It is DDIM at eta 1 (Song et al. 2021, section 4.1), which also says what to do when timesteps are left out. If
    the predictor learned its variance, it lies at that share between the bounds of the step that is taken, however
    long (Nichol & Dhariwal 2021, section 4).
    """
    if move.share is None or move.earlier == 0:
        return implicit(move, eta=1.0)
    now, then = move.alpha_bar()
    most = 1 - now / then
    least = (1 - then) / (1 - now) * most
    mean = then**0.5 * move.denoised + (1 - then - least) ** 0.5 * move.eps
    return mean + (least ** (1 - move.share) * most**move.share).sqrt() * move.noise()


def euler(move: Move) -> Tensor:
    """Euler's method on the probability-flow ODE in the noise-to-signal ratio (Karras et al. 2022, eq. 4).

    In that variable it is DDIM at eta 0 (Song et al. 2021, eq. 14), and gives the same latents.
    """
    return _along(move, move.eps)


def heun(move: Move) -> Tensor:
    """Heun's method on the same ODE, second order (Karras et al. 2022, algorithm 1).

    z'/alpha' = z/alpha + (sigma'/alpha' - sigma/alpha) (eps + eps') / 2, with eps' what is seen where Euler's step
    ends. It looks twice, at either end of the step; once where the step ends at 0.
    """
    guess = euler(move)
    if move.earlier == 0:
        return guess
    return _along(move, (move.eps + move.look(guess, move.earlier)) / 2)


def _along(move: Move, slope: Tensor) -> Tensor:
    """Where d(latent/alpha) / d(sigma/alpha) = `slope` leads."""
    now, then = move.alpha_bar()
    ratio, ratio_then = ((1 - now) / now) ** 0.5, ((1 - then) / then) ** 0.5
    return then**0.5 * (move.latent / now**0.5 + (ratio_then - ratio) * slope)


def dpm_solver_pp(move: Move) -> Tensor:
    """DPM-Solver++(2M), second order with one call a step (Lu et al. 2022, "DPM-Solver++", algorithm 2).

    z' = sigma'/sigma z - alpha' (e^-h - 1) (x0 + (x0 - x0_before) / (2 r)), with h the step in lambda and r the one
    before, in units of it.
    """
    clean, before = move.denoised, move.trail[-1] if move.trail else None
    if before and move.earlier > 0:
        here = _half_log_snr(move.diffuser, move.t)
        step = _half_log_snr(move.diffuser, move.earlier) - here
        ratio = (here - _half_log_snr(move.diffuser, before.t)) / step
        clean = clean + (clean - before.denoised) / (2 * ratio)
    now = Point(move.t, move.latent, move.denoised)
    move.trail.append(now)
    return _towards(move.diffuser, now._replace(denoised=clean), move.earlier)


def unipc(move: Move) -> Tensor:
    """UniPC-2 with B(h) = e^h - 1, data prediction, one call a step (Zhao et al. 2023, algorithms 1 and 2).

    What is believed at state t first corrects the step that led there, then predicts the next; `_interpolated` has
    the formula.
    """
    now = Point(move.t, move.latent, move.denoised)
    if move.trail:
        *before, start = move.trail
        corrected = _interpolated(move.diffuser, start, move.t, [*before, now])
        guess = _interpolated(move.diffuser, start, move.t, before)
        # As a difference, so that what a constraint did to the guess is not undone.
        now = now._replace(latent=now.latent + corrected - guess)
    nodes = list(move.trail)[-1:] if move.earlier > 0 else []
    move.trail.append(now)
    return _interpolated(move.diffuser, now, move.earlier, nodes)


def _interpolated(diffuser: Diffuser, start: Point, earlier: int, nodes: Sequence[Point]) -> Tensor:
    """UniPC's update from `start`, through what was believed clean at up to two `nodes` (Zhao et al. 2023,
    theorem 3.1, in its data-prediction form).

    z' = sigma'/sigma z - alpha' (e^-h - 1) (x0 + sum_m a_m / r_m (x0_m - x0)), with h the step in lambda, r_m where
    node m lies in units of it, and a_m such that as many orders agree as there are nodes. A predictor's nodes lie
    behind; a corrector has `earlier` itself among them.
    """
    plain = _towards(diffuser, start, earlier)
    if not nodes:
        return plain
    here = _half_log_snr(diffuser, start.t)
    step = _half_log_snr(diffuser, earlier) - here
    ratios = [(_half_log_snr(diffuser, node.t) - here) / step for node in nodes]
    growth = math.expm1(-step)
    first = -growth / step - 1
    second = -first / step - 0.5
    if len(nodes) == 1:
        weights = [0.5]  # to this order it need not depend on the step, and their code's does not
    else:
        matrix = torch.tensor([[1.0, 1.0], ratios], dtype=torch.float64)
        weights = torch.linalg.solve(matrix, torch.tensor([first, 2 * second], dtype=torch.float64) / growth).tolist()
    bend = sum(
        weight / ratio * (node.denoised - start.denoised)
        for weight, ratio, node in zip(weights, ratios, nodes, strict=True)
    )
    return plain - diffuser.alpha_bar[earlier].item() ** 0.5 * growth * bend


def _towards(diffuser: Diffuser, start: Point, earlier: int) -> Tensor:
    """The exact step of the ODE if the clean latent stayed as believed (DPM-Solver++(1), Lu et al. 2022)."""
    now, then = diffuser.alpha_bar[start.t].item(), diffuser.alpha_bar[earlier].item()
    step = _half_log_snr(diffuser, earlier) - _half_log_snr(diffuser, start.t)
    return ((1 - then) / (1 - now)) ** 0.5 * start.latent - then**0.5 * math.expm1(-step) * start.denoised


def _half_log_snr(diffuser: Diffuser, t: int) -> float:
    return 0.5 * torch.logit(diffuser.alpha_bar[t]).item()


def langevin(move: Move) -> Tensor:
    """A predictor-corrector step (Song et al. 2021, "Score-based generative modeling", algorithms 1 and 5).

    An ancestral step, then one of Langevin dynamics at the state reached: a second call of the predictor.
    z' = z + s g + sqrt(2 s) n, with g = -eps / sigma the score, n fresh noise, s = 2 (1 - beta) (r |n| / |g|)^2. The
    norms are each picture's own, not their mean over the batch, so that no picture depends on others.
    """
    latent = ancestral(move)
    if move.earlier == 0:
        return latent
    then = move.diffuser.alpha_bar[move.earlier].item()
    score, fresh = -move.look(latent, move.earlier) / (1 - then) ** 0.5, move.noise()
    ratio = _norm(fresh) / _norm(score).clamp_min(torch.finfo(score.dtype).tiny)
    size = 2 * (1 - move.diffuser.betas[move.earlier].item()) * (LANGEVIN_SNR * ratio).square()
    return latent + size * score + (2 * size).sqrt() * fresh


def _norm(batch: Tensor) -> Tensor:
    return batch.flatten(1).norm(dim=1).view(-1, *[1] * (batch.ndim - 1))
