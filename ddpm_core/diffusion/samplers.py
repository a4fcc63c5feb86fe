"""Reverse processes as generators: from noise to a clean latent, one yielded `Step` at a time.

Preview, progress, cancelling, animation and tests all consume the same generator. A new sampler is one rule for a
single step, as in `solvers.py`, and one line in `SAMPLERS`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from ddpm_core.diffusion.constraints import Constraint
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.noise import Noise
from ddpm_core.diffusion.steps import (
    Move,
    Point,
    Predictor,
    Rule,
    ancestral,
    dpm_solver_pp,
    euler,
    heun,
    implicit,
    langevin,
    noise_and_share,
    unipc,
)

TRAIL = 2  # points a multistep rule may look back on


@dataclass(frozen=True)
class Step:
    """Where a sampler stands after a reverse step.

    Attributes:
        t: timestep of `latent`; 0 when done.
        latent: (B, C, h, w), the state at `t`.
        denoised: (B, C, h, w), the clean latent the predictor believed in when taking the step.
    """

    t: int
    latent: Tensor
    denoised: Tensor


def unconstrained(latent: Tensor, t: int) -> Tensor:
    """The constraint that asks for nothing."""
    return latent


def reverse(
    rule: Rule,
    predict: Predictor,
    diffuser: Diffuser,
    timesteps: Sequence[int],
    noise: Noise,
    constrain: Constraint = unconstrained,
) -> Iterator[Step]:
    """The reverse process that takes every step by `rule`; the one loop that all samplers share.

    Args:
        rule: how to take a single step.
        predict: the noise predictor. If it has something to say of the variance (`WithVariance`), a rule can hear it.
        timesteps: states to pass through, from where to start to 0 (`Diffuser.spaced_timesteps`). Where they
            rise, noise is added to get there, without a call of the predictor and without a yield.
        noise: first draw starts the process, further ones are the rule's and that of rising timesteps.
        constrain: applied to the start and after every step.
    """

    def at(latent: Tensor, t: int) -> Tensor:
        return torch.full((len(latent),), t, device=latent.device)

    def look(latent: Tensor, t: int) -> Tensor:
        return predict(latent, at(latent, t))

    trail: deque[Point] = deque(maxlen=TRAIL)
    latent = constrain(noise(), timesteps[0])
    for t, earlier in pairwise(timesteps):
        if earlier > t:
            latent = constrain(diffuser.noised_further(latent, t, earlier, noise()), earlier)
            trail.clear()
            continue
        eps, share = noise_and_share(predict, latent, at(latent, t))
        denoised = diffuser.denoised(latent, eps, torch.full((len(latent),), t))
        move = Move(diffuser, t, earlier, latent, eps, denoised, look, noise, trail, share)
        latent = constrain(rule(move), earlier)
        yield Step(earlier, latent, denoised)


def ddim(
    predict: Predictor,
    diffuser: Diffuser,
    timesteps: Sequence[int],
    noise: Noise,
    constrain: Constraint = unconstrained,
    eta: float = 0.0,
) -> Iterator[Step]:
    """Denoising diffusion implicit models (Song et al. 2021, eqs. 12 and 16).

    Args:
        predict, diffuser, timesteps, noise, constrain: as for `reverse`.
        eta: 0 for the deterministic process, 1 for DDPM's variance.
    """
    return reverse(partial(implicit, eta=eta), predict, diffuser, timesteps, noise, constrain)


def ddpm(
    predict: Predictor,
    diffuser: Diffuser,
    timesteps: Sequence[int],
    noise: Noise,
    constrain: Constraint = unconstrained,
) -> Iterator[Step]:
    """Ancestral sampling (Ho et al. 2020, algorithm 2, from the posterior of eqs. 6 and 7), with a learned variance if
    the predictor has one (Nichol & Dhariwal 2021, eq. 15).

    Args:
        predict, diffuser, timesteps, noise, constrain: as for `reverse`.
    """
    return reverse(ancestral, predict, diffuser, timesteps, noise, constrain)


SAMPLERS: dict[str, Callable[..., Iterator[Step]]] = {
    "ddim": ddim,
    "ddpm": ddpm,
    "euler": partial(reverse, euler),
    "heun": partial(reverse, heun),
    "dpm-solver++": partial(reverse, dpm_solver_pp),
    "unipc": partial(reverse, unipc),
    "langevin": partial(reverse, langevin),
}


def last(steps: Iterable[Step]) -> Step:
    """Run a sampler to its end and return the final step."""
    return deque(steps, maxlen=1)[0]
