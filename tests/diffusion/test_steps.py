"""Rules for one reverse step, held against diffusers; `test_steps_on_a_gaussian` holds them against what is known."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    ScoreSdeVeScheduler,
    UniPCMultistepScheduler,
)
from torch import Tensor

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.noise import SeededNoise
from ddpm_core.diffusion.prediction import Prediction
from ddpm_core.diffusion.samplers import SAMPLERS, last, sample_loop
from ddpm_core.diffusion.steps import VarianceType, ddim_step, ddpm_step, langevin_step
from tests.predictors import of_noise

SHAPE = (4, 5, 3)
TRAINED = {"num_train_timesteps": 999, "beta_start": 1e-4, "beta_end": 2e-2, "beta_schedule": "linear"}
CLOSE = {"rtol": 1e-3, "atol": 1e-3}  # diffusers keeps its schedule in fp32, which is divided by .006 at the start
ODE = ["ddim", "euler", "heun", "dpm-solver++", "unipc"]


def wavy(z: Tensor, t: Tensor) -> Tensor:
    """Some predictor that depends, in no simple way, on latent and time."""
    return torch.sin(1.3 * z + 0.01 * t[:, None, None, None]) + 0.2 * z


def start(*seeds: int) -> Tensor:
    return SeededNoise(seeds, SHAPE)()


def latents(sampler: str, diffuser: Diffuser, timesteps: Sequence[int], first: Tensor) -> list[Tensor]:
    """What a sampler that draws no further noise passes through."""
    draws = iter([first])
    return [
        step.latent for step in sample_loop(SAMPLERS[sampler], of_noise(wavy), diffuser, timesteps, lambda: next(draws))
    ]


# Against diffusers. Its samplers that work on sigma = sqrt((1-alpha_bar)/alpha_bar) have latents divided by
# sqrt(alpha_bar); their timesteps lie one below ours.


@pytest.mark.parametrize("steps", [2, 9, 27, 111])
@pytest.mark.parametrize(
    ("sampler", "other"),
    [
        ("dpm-solver++", DPMSolverMultistepScheduler(**TRAINED, timestep_spacing="trailing", final_sigmas_type="zero")),
        ("unipc", UniPCMultistepScheduler(**TRAINED, timestep_spacing="trailing", final_sigmas_type="zero")),
    ],
    ids=["dpm-solver++", "unipc"],
)
def test_multistep_samplers_equal_those_of_diffusers_step_by_step(sampler: str, other, steps: int) -> None:
    diffuser, latent = Diffuser(), start(3, 4)
    timesteps = diffuser.spaced_timesteps(steps)
    other.set_timesteps(steps)
    assert other.timesteps.tolist() == [t - 1 for t in timesteps[:-1]]
    for t, ours in zip(timesteps, latents(sampler, diffuser, timesteps, latent), strict=False):
        latent = other.step(wavy(latent, torch.full((2,), t)), t - 1, latent).prev_sample
        torch.testing.assert_close(ours, latent, **CLOSE)


@pytest.mark.parametrize("steps", [2, 9, 27, 111])
def test_euler_equals_diffusers_step_by_step(steps: int) -> None:
    diffuser, latent = Diffuser(), start(3, 4)
    timesteps = diffuser.spaced_timesteps(steps)
    other = EulerDiscreteScheduler(**TRAINED, timestep_spacing="trailing")
    other.set_timesteps(steps)
    signal = diffuser.alpha_bar.sqrt().float()
    at, ours = iter(timesteps[1:]), latents("euler", diffuser, timesteps, latent)
    latent = latent / signal[timesteps[0]]
    for t, theirs in zip(timesteps, other.timesteps, strict=False):
        assert t - 1 == theirs
        eps = wavy(latent * signal[t], torch.full((2,), t))
        latent = other.step(eps, theirs, latent).prev_sample
        torch.testing.assert_close(ours.pop(0), latent * signal[next(at)], **CLOSE)


@pytest.mark.parametrize("steps", [2, 9, 27, 111])
def test_heun_equals_diffusers_step_by_step(steps: int) -> None:
    diffuser, latent = Diffuser(), start(3, 4)
    timesteps = diffuser.spaced_timesteps(steps)
    other = HeunDiscreteScheduler(**TRAINED, timestep_spacing="trailing")
    other.set_timesteps(steps)
    signal = diffuser.alpha_bar.sqrt().float()
    ours = latents("heun", diffuser, timesteps, latent)
    # Theirs alternates: a guess at the next timestep, then the step with the slope of both ends.
    called = [timesteps[0], *np.repeat(timesteps[1:-1], 2)]
    assert other.timesteps.tolist() == [t - 1 for t in called]
    latent, done = latent / signal[timesteps[0]], []
    for call, t in enumerate(called):
        eps = wavy(latent * signal[t], torch.full((2,), int(t)))
        latent = other.step(eps, other.timesteps[call], latent).prev_sample
        if call % 2 or call == len(called) - 1:
            done.append(latent)
    for t, one, theirs in zip(timesteps[1:], ours, done, strict=True):
        torch.testing.assert_close(one, theirs * signal[t], **CLOSE)


@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_ddim_with_noise_equals_diffusers_under_the_same_noise(eta: float) -> None:
    diffuser, latent = Diffuser(), start(11)
    timesteps = diffuser.spaced_timesteps(27)
    other = DDIMScheduler(**TRAINED, clip_sample=False, set_alpha_to_one=True, timestep_spacing="trailing")
    other.set_timesteps(27)
    generator = torch.Generator().manual_seed(11)
    latent = torch.randn((1, *SHAPE), generator=generator)
    steps = sample_loop(partial(ddim_step, eta=eta), of_noise(wavy), diffuser, timesteps, SeededNoise([11], SHAPE))
    for t, step in zip(timesteps, steps, strict=False):
        eps = wavy(latent, torch.tensor([t]))
        latent = other.step(eps, t - 1, latent, eta=eta, generator=generator).prev_sample
        torch.testing.assert_close(step.latent, latent, **CLOSE)


@pytest.mark.parametrize("steps", [9, 27])
def test_the_stochastic_multistep_sampler_equals_diffusers_under_the_same_noise(steps: int) -> None:
    diffuser, timesteps = Diffuser(), Diffuser().spaced_timesteps(steps)
    other = DPMSolverMultistepScheduler(
        **TRAINED, timestep_spacing="trailing", final_sigmas_type="zero", algorithm_type="sde-dpmsolver++"
    )
    other.set_timesteps(steps)
    generator = torch.Generator().manual_seed(11)
    latent = torch.randn((1, *SHAPE), generator=generator)
    take_step = SAMPLERS["sde-dpm-solver++"]
    for step in sample_loop(take_step, of_noise(wavy), diffuser, timesteps, SeededNoise([11], SHAPE)):
        t = timesteps[timesteps.index(step.t) - 1]
        latent = other.step(wavy(latent, torch.tensor([t])), t - 1, latent, generator=generator).prev_sample
        torch.testing.assert_close(step.latent, latent, **CLOSE)


@pytest.mark.parametrize("noise_above", [0, 400, 999])
def test_noise_above_a_timestep_is_the_last_that_is_added(noise_above: int) -> None:
    diffuser, timesteps = Diffuser(), Diffuser().spaced_timesteps(20)
    take_step, draw, drawn = partial(SAMPLERS["sde-dpm-solver++"], noise_above=noise_above), SeededNoise([5], SHAPE), []

    def noise() -> Tensor:
        drawn.append(draw())
        return drawn[-1]

    list(sample_loop(take_step, of_noise(wavy), diffuser, timesteps, noise))
    assert len(drawn) == 1 + sum(t > noise_above for t in timesteps[:-2])  # the start, and not before the clean latent
    if noise_above == 999:
        plain = last(
            sample_loop(SAMPLERS["dpm-solver++"], of_noise(wavy), diffuser, timesteps, SeededNoise([5], SHAPE))
        )
        other = last(sample_loop(take_step, of_noise(wavy), diffuser, timesteps, SeededNoise([5], SHAPE)))
        assert torch.equal(plain.latent, other.latent)


def test_the_stochastic_sampler_of_first_order_is_ddim_with_all_of_its_noise() -> None:
    diffuser, timesteps = Diffuser(), Diffuser().spaced_timesteps(20)
    first_order = partial(SAMPLERS["sde-dpm-solver++"], first_order_above=0)
    runs = [
        list(sample_loop(take_step, of_noise(wavy), diffuser, timesteps, SeededNoise([5], SHAPE)))
        for take_step in (first_order, partial(ddim_step, eta=1.0))
    ]
    for one, other in zip(*runs, strict=True):
        torch.testing.assert_close(one.latent, other.latent, rtol=1e-4, atol=1e-5)
    half, whole = (
        list(sample_loop(take_step, of_noise(wavy), diffuser, timesteps, SeededNoise([5], SHAPE)))
        for take_step in (partial(SAMPLERS["sde-dpm-solver++"], first_order_above=500), SAMPLERS["sde-dpm-solver++"])
    )
    for step, first in zip(half, runs[0], strict=True):
        if step.t >= 500:
            torch.testing.assert_close(step.latent, first.latent, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(half[-1].latent, runs[0][-1].latent)
    assert not torch.allclose(half[-1].latent, whole[-1].latent)


def test_the_stochastic_sampler_is_of_second_order_throughout_unless_told_otherwise() -> None:
    """Also where a schedule has more timesteps than the shipped ones."""
    diffuser = Diffuser(4000, 2.5e-5, 5e-3)
    timesteps, take_step = diffuser.spaced_timesteps(20), SAMPLERS["sde-dpm-solver++"]
    usual, highest = (
        last(sample_loop(one, of_noise(wavy), diffuser, timesteps, SeededNoise([5], SHAPE))).latent
        for one in (take_step, partial(take_step, first_order_above=timesteps[0]))
    )
    assert torch.equal(usual, highest)


def test_euler_is_ddim_without_noise_and_ddpm_is_ddim_with_all_of_it() -> None:
    diffuser, timesteps = Diffuser(), Diffuser().spaced_timesteps(20)
    for one, other in zip(*(latents(name, diffuser, timesteps, start(5)) for name in ("euler", "ddim")), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    ours = last(sample_loop(ddpm_step, of_noise(wavy), diffuser, timesteps, SeededNoise([5], SHAPE))).latent
    assert torch.equal(
        ours,
        last(
            sample_loop(partial(ddim_step, eta=1.0), of_noise(wavy), diffuser, timesteps, SeededNoise([5], SHAPE))
        ).latent,
    )


def test_of_noise_itself_the_large_variance_keeps_the_variance_and_the_small_one_does_not() -> None:
    """Ho et al. 2020, section 3.2: for x0 from N(0, 1) beta is right. The best prediction is then sigma_t z."""
    diffuser = Diffuser()

    def exact(z: Tensor, t: Tensor) -> Tensor:
        return (1 - diffuser.alpha_bar[t]).sqrt().float()[:, None, None, None] * z

    spread = {}
    for variance_type in ("fixed_large", "fixed_small"):
        take_step = partial(ddpm_step, variance_type=variance_type)
        noise = SeededNoise([7], (64, 64, 8))
        steps = list(sample_loop(take_step, of_noise(exact), diffuser, diffuser.spaced_timesteps(6), noise))
        spread[variance_type] = steps[-2].latent.std().item()
    assert spread["fixed_large"] == pytest.approx(1, abs=0.02)
    assert spread["fixed_small"] < 0.9


def test_a_fixed_variance_leaves_aside_what_the_network_says_and_learned_does_not() -> None:
    latent, noise = start(3), SeededNoise([4], SHAPE)()

    def after(variance: Tensor | None, variance_type: VarianceType) -> Tensor:
        def predict(z: Tensor, t: Tensor) -> Prediction:
            return Prediction(wavy(z, t), variance)

        draws = iter([latent, noise])
        take_step = partial(ddpm_step, variance_type=variance_type)
        return next(sample_loop(take_step, predict, Diffuser(), [700, 400], lambda: next(draws))).latent

    large, small = torch.ones(SHAPE), torch.zeros(SHAPE)
    for said in (large, small, None):
        assert torch.equal(after(said, "fixed_small"), after(None, "learned"))
        assert torch.equal(after(said, "fixed_large"), after(large, "learned"))
    assert not torch.equal(after(large, "learned"), after(small, "learned"))


def corrected(latent: Tensor, fresh: Tensor, t: int, earlier: int, **extras: float) -> tuple[Tensor, Tensor]:
    """Where a Langevin step leads from `latent`, the corrector's draw being `fresh`, and its predictor alone."""
    draws = iter([latent, torch.ones_like(latent), fresh])
    samples = next(
        sample_loop(partial(langevin_step, **extras), of_noise(wavy), Diffuser(), [t, earlier], lambda: next(draws))
    ).latent
    draws = iter([latent, torch.ones_like(latent)])
    return samples, next(sample_loop(ddpm_step, of_noise(wavy), Diffuser(), [t, earlier], lambda: next(draws))).latent


@pytest.mark.parametrize(("extras", "r"), [({}, 0.16), ({"snr": 0.01}, 0.01)])
@pytest.mark.parametrize(("t", "earlier"), [(999, 998), (700, 400), (3, 2), (2, 1)])
def test_the_corrector_is_that_of_song_et_al(t: int, earlier: int, extras: dict[str, float], r: float) -> None:
    """Algorithm 5 of "Score-based generative modeling", with, for the norms, each picture's own."""
    diffuser, latent, fresh = Diffuser(), start(3, 4).double(), 1.5 * start(5, 6).double()
    samples, predicted = corrected(latent, fresh, t, earlier, **extras)
    for i in range(2):
        x, z = predicted[i], fresh[i]
        g = -wavy(x[None], torch.tensor([earlier]))[0] / (1 - diffuser.alpha_bar[earlier]).sqrt()
        size = 2 * (1 - diffuser.betas[earlier]) * (r * z.norm() / g.norm()) ** 2
        torch.testing.assert_close(samples[i], x + size * g + (2 * size).sqrt() * z, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("t", "earlier"), [(999, 998), (700, 400)])
def test_the_corrector_equals_that_of_diffusers_for_one_picture(t: int, earlier: int) -> None:
    """Theirs is for processes whose variance explodes: algorithm 4, which lacks the factor alpha = 1 - beta."""
    diffuser, latent = Diffuser(), start(3)
    fresh = torch.randn(latent.shape, generator=torch.Generator().manual_seed(5))
    samples, predicted = corrected(latent, fresh, t, earlier)
    other = ScoreSdeVeScheduler(snr=0.16 * (1 - diffuser.betas[earlier].item()) ** 0.5)
    other.set_timesteps(10)
    score = -wavy(predicted, torch.tensor([earlier])) / (1 - diffuser.alpha_bar[earlier].item()) ** 0.5
    theirs = other.step_correct(score, predicted, generator=torch.Generator().manual_seed(5)).prev_sample
    torch.testing.assert_close(samples, theirs, rtol=1e-5, atol=1e-5)


# With constraints and rising timesteps


@pytest.mark.parametrize("sampler", ODE)
def test_after_a_rise_a_sampler_goes_on_as_if_it_had_begun_there(sampler: str) -> None:
    """What was predicted clean before the noise was added belongs to another path."""
    diffuser, path = Diffuser(), [999, 700, 400, 900, 600, 300, 100, 0]
    at, first = {}, iter([start(1), start(2)])

    def remember(latent: Tensor, t: int) -> Tensor:
        at[t] = latent
        return latent

    steps = [
        step.latent
        for step in sample_loop(SAMPLERS[sampler], of_noise(wavy), diffuser, path, lambda: next(first), remember)
    ]
    again = latents(sampler, diffuser, path[3:], at[900])
    assert len(steps) == 6
    for one, other in zip(steps[2:], again, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("sampler", ODE)
def test_what_a_constraint_puts_there_is_what_the_sampler_goes_on_from(sampler: str) -> None:
    """Where all is noise, every solver is exact: the latent shrinks with the noise, from wherever it went on."""
    diffuser, put = Diffuser(), start(9)

    def all_noise(z: Tensor, t: Tensor) -> Tensor:
        return z / diffuser.signal_and_noise(t, z)[1]

    def constrain(latent: Tensor, t: int) -> Tensor:
        return put if t == 500 else latent

    samples = last(
        sample_loop(
            SAMPLERS[sampler], of_noise(all_noise), diffuser, [999, 750, 500, 250, 100], lambda: start(1), constrain
        )
    ).latent
    shrunk = ((1 - diffuser.alpha_bar[100]) / (1 - diffuser.alpha_bar[500])).sqrt().item()
    torch.testing.assert_close(samples, shrunk * put, rtol=1e-4, atol=1e-5)
