"""Reverse processes as generators: from noise to a clean latent, one `Step` at a time.

A new sampler is a function in `steps.py` and a line in `SAMPLERS`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from ddpm_core.diffusion.constraints import Constraint, unconstrained
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.noise import Noise
from ddpm_core.diffusion.prediction import Prediction, Predictor
from ddpm_core.diffusion.steps import (
    State,
    StepContext,
    StepFunction,
    ddim_step,
    ddpm_step,
    dpm_solver_pp_2m_step,
    euler_step,
    heun_step,
    langevin_step,
    lcm_step,
    sde_dpm_solver_pp_2m_step,
    unipc_step,
)

HISTORY = 2  # states a multistep method may look back on

SAMPLERS: dict[str, StepFunction] = {
    "ddim": ddim_step,
    "ddpm": ddpm_step,
    "euler": euler_step,
    "heun": heun_step,
    "dpm-solver++": dpm_solver_pp_2m_step,
    "sde-dpm-solver++": sde_dpm_solver_pp_2m_step,
    "unipc": unipc_step,
    "langevin": langevin_step,
    "lcm": lcm_step,
}


@dataclass(frozen=True)
class Step:
    """Where a sampler stands after a reverse step.

    Attributes:
        t: timestep of `latent`; 0 when done.
        latent: (B, C, h, w).
        denoised: (B, C, h, w), the clean latent predicted when taking the step.
    """

    t: int
    latent: Tensor
    denoised: Tensor


def sample_loop(
    take_step: StepFunction,
    predict: Predictor,
    diffuser: Diffuser,
    timesteps: Sequence[int],
    noise: Noise,
    constrain: Constraint = unconstrained,
) -> Iterator[Step]:
    """The reverse process: the one loop that all samplers share.

    Args:
        take_step: of `SAMPLERS`.
        timesteps: states to pass through down to 0. Where they rise, noise is added, without a call of the predictor
            and without a yield.
        noise: the first draw starts the process.
        constrain: applied to the start and after every step.
    """

    def predict_at(latent: Tensor, t: int) -> Prediction:
        return predict(latent, torch.full((len(latent),), t, device=latent.device))

    history: deque[State] = deque(maxlen=HISTORY)
    latent = constrain(noise(), timesteps[0])  # (B, C, h, w)
    for t, s in pairwise(timesteps):
        if s > t:
            # All the rise at once, where RePaint goes state by state: the same in distribution.
            latent = constrain(diffuser.add_noise_between(latent, t, s, noise()), s)
            history.clear()  # what was predicted before fits no more
            continue
        eps, variance = predict_at(latent, t)  # (B, C, h, w) each
        denoised = diffuser.denoised(latent, eps, torch.full((len(latent),), t))  # (B, C, h, w)
        context = StepContext(diffuser, t, s, latent, eps, denoised, variance, predict_at, noise, history)
        latent = constrain(take_step(context), s)
        yield Step(s, latent, denoised)


def last(steps: Iterable[Step]) -> Step:
    """The final step of a sampler, run to its end."""
    return deque(steps, maxlen=1)[0]
