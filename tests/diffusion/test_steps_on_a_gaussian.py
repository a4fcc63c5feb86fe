"""Samplers on a Gaussian N(mean, spread^2): the best predictor and the solution of the ODE have closed forms."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.noise import SeededNoise
from ddpm_core.diffusion.prediction import Predictor
from ddpm_core.diffusion.samplers import SAMPLERS, last, sample_loop
from ddpm_core.diffusion.spacing import SPACINGS
from ddpm_core.diffusion.steps import ddim_step
from tests.diffusion.test_steps import ODE
from tests.predictors import of_noise

MEAN, SPREAD = 1.5, 0.4


def best(diffuser: Diffuser) -> Predictor:
    def predict(z: Tensor, t: Tensor) -> Tensor:
        signal, noise = diffuser.signal_and_noise(t, z)
        return noise * (z - signal * MEAN) / ((signal * SPREAD) ** 2 + noise**2)

    return of_noise(predict)


def solution(diffuser: Diffuser, z: Tensor, t: int, earlier: int) -> Tensor:
    """Where the ODE takes `z`: as many deviations from the mean as it was."""
    left = diffuser.alpha_bar[[t, earlier]]
    deviation = (left * SPREAD**2 + 1 - left).sqrt()
    mean = left.sqrt() * MEAN
    return mean[1] + deviation[1] / deviation[0] * (z - mean[0])


@pytest.fixture(scope="module")
def fine() -> Diffuser:
    """So many states that picking one of them is no matter."""
    states = 20_001
    return Diffuser(states, 0.1 / states, 20 / states)


@pytest.mark.parametrize(
    ("sampler", "order"), [("ddim", 1), ("euler", 1), ("heun", 2), ("dpm-solver++", 2), ("unipc", 3)]
)
def test_the_error_falls_with_the_step_at_the_order_of_the_method(fine: Diffuser, sampler: str, order: int) -> None:
    """UniPC-p has order p+1 (Zhao et al. 2023, corollary 3.2).

    Steps are even in lambda and end short of 0: the last step of any sampler, on to 0, is of first order.
    """
    log_snr = torch.logit(fine.alpha_bar[1:]).numpy()
    top, bottom = int(0.9 * len(log_snr)), int(0.02 * len(log_snr))
    z = torch.tensor([-1.0, 0.3, 2.0], dtype=torch.float64).view(1, 1, 1, 3)
    errors = []
    for steps in (40, 80, 160):
        even = np.linspace(log_snr[top - 1], log_snr[bottom - 1], steps + 1)
        timesteps = np.interp(-even, -log_snr, np.arange(1, len(log_snr) + 1)).round().astype(int).tolist()
        samples = last(sample_loop(SAMPLERS[sampler], best(fine), fine, timesteps, lambda: z)).latent
        errors.append((samples - solution(fine, z, timesteps[0], timesteps[-1])).abs().max().item())
    for coarse, finer in pairwise(errors):
        assert math.log2(coarse / finer) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("sampler", ODE)
def test_ode_samplers_carry_noise_to_the_known_picture(sampler: str, spacing: str) -> None:
    diffuser, z = Diffuser(), torch.linspace(-2, 2, 5, dtype=torch.float64).view(1, 1, 1, 5)
    samples = last(
        sample_loop(SAMPLERS[sampler], best(diffuser), diffuser, diffuser.spaced_timesteps(200, spacing), lambda: z)
    ).latent
    torch.testing.assert_close(samples, solution(diffuser, z, 999, 0), rtol=0, atol=0.02)


@pytest.mark.parametrize("eta", [0.3, 0.7])
def test_ddim_with_some_noise_has_the_mean_and_the_spread_of_the_data(eta: float) -> None:
    diffuser, noise = Diffuser(), SeededNoise([0, 1], (1, 100, 100))
    samples = last(
        sample_loop(partial(ddim_step, eta=eta), best(diffuser), diffuser, diffuser.spaced_timesteps(500), noise)
    ).latent
    assert samples.mean().item() == pytest.approx(MEAN, abs=0.02)
    assert samples.std().item() == pytest.approx(SPREAD, rel=0.03)


def test_the_stochastic_multistep_sampler_needs_fewer_steps_than_ancestral_ones_for_the_spread_of_the_data() -> None:
    diffuser, off = Diffuser(), {}
    for sampler in ("ddpm", "sde-dpm-solver++"):
        steps = sample_loop(
            SAMPLERS[sampler],
            best(diffuser),
            diffuser,
            diffuser.spaced_timesteps(30),
            SeededNoise([0, 1], (1, 100, 100)),
        )
        samples = last(steps).latent
        assert samples.mean().item() == pytest.approx(MEAN, abs=0.02)
        off[sampler] = abs(samples.std().item() - SPREAD)
    assert off["sde-dpm-solver++"] < off["ddpm"]


@pytest.mark.parametrize("noise_above", [200, 600])
def test_noise_that_ends_on_the_way_leaves_the_spread_of_the_data(noise_above: int) -> None:
    diffuser, noise = Diffuser(), SeededNoise([0, 1], (1, 100, 100))
    take_step = partial(SAMPLERS["sde-dpm-solver++"], noise_above=noise_above)
    samples = last(sample_loop(take_step, best(diffuser), diffuser, diffuser.spaced_timesteps(60), noise)).latent
    assert samples.mean().item() == pytest.approx(MEAN, abs=0.02)
    assert samples.std().item() == pytest.approx(SPREAD, rel=0.05)


def test_langevin_steps_repair_what_too_few_steps_get_wrong() -> None:
    """Ancestral steps that are few lose spread; the corrector gives back some of it."""
    diffuser = Diffuser()
    spread = {}
    for sampler in ("ddpm", "langevin"):
        noise = SeededNoise([0], (1, 100, 100))
        spread[sampler] = last(
            sample_loop(SAMPLERS[sampler], best(diffuser), diffuser, diffuser.spaced_timesteps(10), noise)
        ).latent
    off = {name: abs(samples.std().item() - SPREAD) for name, samples in spread.items()}
    assert off["langevin"] < off["ddpm"]
