"""Reverse processes, held against the closed form and against diffusers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from torch import Tensor

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.noise import SeededNoise
from ddpm_core.diffusion.prediction import Prediction
from ddpm_core.diffusion.samplers import SAMPLERS, Step, last, sample_loop
from ddpm_core.diffusion.steps import TWO_CALLS, ddim_step, ddpm_step, lcm_step
from tests.predictors import of_noise

SHAPE = (4, 5, 3)
SCHEDULE = {"num_train_timesteps": 999, "beta_start": 1e-4, "beta_end": 2e-2, "beta_schedule": "linear"}
CLOSE = {"rtol": 1e-3, "atol": 1e-3}  # diffusers keeps its schedule in fp32, which is divided by .006 at the start


CALLS = dict.fromkeys(SAMPLERS, 1) | {"heun": 2, "langevin": 2}  # at a step that does not end at 0


def wavy(z: Tensor, t: Tensor) -> Tensor:
    """Some predictor that depends, in no simple way, on latent and time."""
    return torch.sin(1.3 * z + 0.01 * t[:, None, None, None]) + 0.2 * z


predict_wavy = of_noise(wavy)


def given(*draws: Tensor) -> Callable[[], Tensor]:
    """Noise that was chosen beforehand."""
    left = iter(draws)
    return lambda: next(left)


class CountedNoise(SeededNoise):
    """Seeded noise that knows how often it was drawn."""

    draws = 0

    def __call__(self) -> Tensor:
        self.draws += 1
        return super().__call__()


@pytest.mark.parametrize("steps", [999, 27], ids=["every step", "every 37th step"])
def test_ddim_equals_diffusers_step_by_step(steps: int) -> None:
    diffuser, noise = Diffuser(), SeededNoise([3, 4], SHAPE)
    timesteps = diffuser.spaced_timesteps(steps)
    other = DDIMScheduler(**SCHEDULE, clip_sample=False, set_alpha_to_one=True, timestep_spacing="trailing")
    other.set_timesteps(steps)
    assert other.timesteps.tolist() == [t - 1 for t in timesteps[:-1]]

    latent = SeededNoise([3, 4], SHAPE)()
    for t, step in zip(timesteps, sample_loop(ddim_step, predict_wavy, diffuser, timesteps, noise), strict=False):
        theirs = other.step(wavy(latent, torch.full((2,), t)), t - 1, latent)
        torch.testing.assert_close(step.latent, theirs.prev_sample, **CLOSE)
        torch.testing.assert_close(step.denoised, theirs.pred_original_sample, **CLOSE)
        latent = step.latent
    assert step.t == 0


@pytest.mark.parametrize("steps", [999, 40], ids=["every step", "some of the steps"])
def test_ddpm_equals_diffusers_step_by_step_under_the_same_noise(steps: int) -> None:
    diffuser, noise = Diffuser(), SeededNoise([11], SHAPE)
    timesteps = diffuser.spaced_timesteps(steps)
    other = DDPMScheduler(**SCHEDULE, clip_sample=False, variance_type="fixed_small")
    other.set_timesteps(timesteps=[t - 1 for t in timesteps[:-1]])

    generator = torch.Generator().manual_seed(11)
    latent = torch.randn((1, *SHAPE), generator=generator)
    for t, step in zip(timesteps, sample_loop(ddpm_step, predict_wavy, diffuser, timesteps, noise), strict=False):
        theirs = other.step(wavy(latent, torch.tensor([t])), t - 1, latent, generator=generator)
        torch.testing.assert_close(step.latent, theirs.prev_sample, **CLOSE)
        latent = step.latent
    assert step.t == 0


@pytest.mark.parametrize("t", [2, 3, 100, 998, 999])
def test_a_ddpm_step_draws_from_the_posterior_of_ho_et_al(t: int) -> None:
    diffuser = Diffuser()
    noisy, fresh = torch.randn(1, *SHAPE, dtype=torch.float64), torch.randn(1, *SHAPE, dtype=torch.float64)
    eps = wavy(noisy, torch.tensor([t]))
    step = next(sample_loop(ddpm_step, of_noise(lambda z, t: eps), diffuser, [t, t - 1], given(noisy, fresh)))

    now, then, beta = diffuser.alpha_bar[t], diffuser.alpha_bar[t - 1], diffuser.betas[t]
    clean = (noisy - (1 - now).sqrt() * eps) / now.sqrt()
    mean = then.sqrt() * beta / (1 - now) * clean + (1 - beta).sqrt() * (1 - then) / (1 - now) * noisy  # eq. 7
    variance = (1 - then) / (1 - now) * beta
    torch.testing.assert_close(step.latent, mean + variance.sqrt() * fresh, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(step.denoised, clean, rtol=1e-8, atol=1e-8)


def test_ddim_between_its_extremes_keeps_the_total_noise() -> None:
    """Whatever eta, direction and fresh noise together have the variance of the state (Song et al. 2021, eq. 12)."""
    diffuser, t, earlier = Diffuser(), 600, 400
    zero, one = torch.zeros(1, *SHAPE, dtype=torch.float64), torch.ones(1, *SHAPE, dtype=torch.float64)
    for eta in (0.3, 0.7, 1.0):
        directed = next(
            sample_loop(
                partial(ddim_step, eta=eta), of_noise(lambda z, t: one), diffuser, [t, earlier], given(zero, zero)
            )
        )
        fresh = (
            next(
                sample_loop(
                    partial(ddim_step, eta=eta), of_noise(lambda z, t: one), diffuser, [t, earlier], given(zero, one)
                )
            ).latent
            - directed.latent
        )
        direction = directed.latent - diffuser.alpha_bar[earlier].sqrt() * directed.denoised
        total = direction.square() + fresh.square()
        torch.testing.assert_close(total, (1 - diffuser.alpha_bar[earlier]).expand_as(total))


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name != "lcm"])  # which asks for another: below
def test_with_the_best_predictor_of_a_gaussian_the_samples_have_its_mean_and_spread(sampler: str) -> None:
    diffuser, mean, spread = Diffuser(), 1.5, 0.4

    def best(z: Tensor, t: Tensor) -> Tensor:
        signal, noise = diffuser.signal_and_noise(t, z)
        return noise * (z - signal * mean) / ((signal * spread) ** 2 + noise**2)

    noise = SeededNoise([0, 1], (1, 100, 100))
    samples = last(
        sample_loop(SAMPLERS[sampler], of_noise(best), diffuser, diffuser.spaced_timesteps(999), noise)
    ).latent
    assert samples.mean().item() == pytest.approx(mean, abs=0.02)
    assert samples.std().item() == pytest.approx(spread, rel=0.03)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_with_the_consistency_function_of_a_gaussian_lcm_has_its_mean_and_spread_in_few_steps(steps: int) -> None:
    """Where the ODE leads of N(mean, spread^2): as many deviations from the mean as the latent is."""
    diffuser, mean, spread = Diffuser(), 1.5, 0.4

    def consistent(z: Tensor, t: Tensor) -> Tensor:
        signal, noise = diffuser.signal_and_noise(t, z)
        clean = mean + spread * (z - signal * mean) / ((signal * spread) ** 2 + noise**2).sqrt()
        return (z - signal * clean) / noise

    noise = CountedNoise([0, 1], (1, 100, 100))
    samples = last(
        sample_loop(lcm_step, of_noise(consistent), diffuser, diffuser.spaced_timesteps(steps), noise)
    ).latent
    assert samples.mean().item() == pytest.approx(mean, abs=0.02)
    assert samples.std().item() == pytest.approx(spread, rel=0.03)
    assert noise.draws == steps


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_constraint_is_applied_to_the_start_and_after_every_step(sampler: str) -> None:
    diffuser, yielded_at, called_at = Diffuser(), [], []

    def constrain(latent: Tensor, t: int) -> Tensor:
        yielded_at.append(t)
        return torch.cat([torch.full_like(latent[:, :1], float(t)), latent[:, 1:]], dim=1)

    def predict(z: Tensor, t: Tensor) -> Prediction:
        called_at.append((t.tolist(), z[:, 0].unique().tolist()))
        return predict_wavy(z, t)

    timesteps = diffuser.spaced_timesteps(6)
    steps = list(sample_loop(SAMPLERS[sampler], predict, diffuser, timesteps, SeededNoise([0, 1], SHAPE), constrain))
    assert yielded_at == timesteps
    assert called_at[:: CALLS[sampler]] == [([t, t], [float(t)]) for t in timesteps[:-1]]
    assert all((step.latent[:, 0] == step.t).all() for step in steps)


def test_ddim_draws_noise_once_and_ddpm_once_more_for_each_step_but_the_last() -> None:
    diffuser = Diffuser()
    for step, draws in ((ddim_step, 1), (ddpm_step, 12)):
        noise = CountedNoise([0], SHAPE)
        last(sample_loop(step, predict_wavy, diffuser, diffuser.spaced_timesteps(12), noise))
        assert noise.draws == draws


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_last_step_is_the_denoised_prediction(sampler: str) -> None:
    diffuser = Diffuser()
    final = last(
        sample_loop(SAMPLERS[sampler], predict_wavy, diffuser, diffuser.spaced_timesteps(5), SeededNoise([0], SHAPE))
    )
    torch.testing.assert_close(final.latent, final.denoised)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_picture_is_the_same_whatever_else_is_in_the_batch(sampler: str) -> None:
    diffuser = Diffuser()

    def samples(seeds: list[int]) -> Tensor:
        return last(
            sample_loop(
                SAMPLERS[sampler], predict_wavy, diffuser, diffuser.spaced_timesteps(8), SeededNoise(seeds, SHAPE)
            )
        ).latent

    together = samples([7, 8, 9])
    for i, seed in enumerate([7, 8, 9]):
        assert torch.equal(together[i], samples([seed])[0])
    assert not torch.equal(together[0], together[1])


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 9])
def test_one_step_is_yielded_per_reverse_step_and_time_falls_to_0(sampler: str, steps: int) -> None:
    diffuser = Diffuser()
    timesteps = diffuser.spaced_timesteps(steps)
    yielded = list(sample_loop(SAMPLERS[sampler], predict_wavy, diffuser, timesteps, SeededNoise([0], SHAPE)))
    assert [step.t for step in yielded] == timesteps[1:]
    assert yielded[-1].t == 0
    for before, after in pairwise(yielded):
        assert before.t > after.t
        assert not torch.equal(before.latent, after.latent)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_sampler_calls_no_network_before_its_first_step(sampler: str) -> None:
    diffuser, calls = Diffuser(), []

    def predict(z: Tensor, t: Tensor) -> Prediction:
        calls.append(t)
        return predict_wavy(z, t)

    noise = CountedNoise([0], SHAPE)
    steps = sample_loop(SAMPLERS[sampler], predict, diffuser, diffuser.spaced_timesteps(10), noise)
    assert (len(calls), noise.draws) == (0, 0)
    next(steps)
    next(steps)
    assert len(calls) == 2 * CALLS[sampler]
    steps.close()
    assert len(calls) == 2 * CALLS[sampler]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_where_timesteps_rise_noise_is_added_without_a_call_or_a_yield(sampler: str) -> None:
    diffuser, calls, constrained = Diffuser(), [], []

    def predict(z: Tensor, t: Tensor) -> Prediction:
        calls.append(int(t[0]))
        return predict_wavy(z, t)

    def constrain(latent: Tensor, t: int) -> Tensor:
        constrained.append(t)
        return latent

    path = [999, 500, 999, 500, 0]
    steps = list(sample_loop(SAMPLERS[sampler], predict, diffuser, path, SeededNoise([0], SHAPE), constrain))
    assert calls[:: CALLS[sampler]] == [999, 999, 500]
    assert len(calls) == 3 + 2 * (CALLS[sampler] - 1)
    assert [step.t for step in steps] == [500, 500, 0]
    assert constrained == path  # so that what is kept has the right noise there, too


@pytest.mark.parametrize(("low", "high"), [(1, 4), (500, 507), (700, 999)])
def test_a_rise_over_several_states_is_that_of_single_ones_in_distribution(low: int, high: int) -> None:
    """Of a latent of a known mean, each noising step keeps sqrt(1 - beta) and adds beta (Ho et al. 2020, eq. 2)."""
    diffuser, risen = Diffuser(), []

    def constrain(latent: Tensor, t: int) -> Tensor:
        if t == low:
            return torch.full_like(latent, 2.0)  # nothing but a mean
        risen.append(latent)
        return latent

    for fresh in (0.0, 1.0):
        noise = given(torch.zeros(1, *SHAPE, dtype=torch.float64), torch.full((1, *SHAPE), fresh, dtype=torch.float64))
        list(sample_loop(ddim_step, predict_wavy, diffuser, [high, low, high], noise, constrain))
    mean, variance = 2.0, 0.0
    for t in range(low + 1, high + 1):
        beta = diffuser.betas[t].item()
        mean, variance = (1 - beta) ** 0.5 * mean, (1 - beta) * variance + beta
    _, still, _, moved = risen  # each run first tells its start
    torch.testing.assert_close(still, torch.full_like(still, mean))
    torch.testing.assert_close((moved - still).square(), torch.full_like(still, variance))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_it_is_known_which_samplers_call_the_network_twice_in_a_step(sampler: str) -> None:
    calls = []

    def predict(z: Tensor, t: Tensor) -> Tensor:
        calls.append(t)
        return wavy(z, t)

    diffuser, noise = Diffuser(), SeededNoise([0], (1, 2, 2), torch.device("cpu"))
    last(sample_loop(SAMPLERS[sampler], of_noise(predict), diffuser, [900, 500, 100, 0], noise))
    assert len(calls) == 3 + 2 * (SAMPLERS[sampler] in TWO_CALLS)


def test_last_gives_the_final_step() -> None:
    steps = [Step(t, torch.zeros(1), torch.zeros(1)) for t in (2, 1, 0)]
    assert last(iter(steps)) is steps[-1]
