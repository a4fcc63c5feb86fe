"""Where samplers stand, held against diffusers and against the formulas."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from diffusers import DDIMScheduler

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.spacing import SPACINGS, churned_timesteps, distinct


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("states", [2, 3, 50, 1000])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_every_number_of_steps_has_as_many_states_falling_from_the_last_to_0(
    spacing: str, states: int, schedule: str
) -> None:
    diffuser = Diffuser(states, schedule=schedule)
    for steps in {1, 2, 3, 7, 20, states // 2, states - 2, states - 1} & set(range(1, states)):
        timesteps = diffuser.spaced_timesteps(steps, spacing)
        assert len(timesteps) == steps + 1
        assert (timesteps[0], timesteps[-1]) == (states - 1, 0)
        assert all(t > earlier for t, earlier in pairwise(timesteps))


@pytest.mark.parametrize("steps", range(1, 1000, 7))
def test_uniform_is_the_default_and_rounds_the_even_positions(steps: int) -> None:
    expected = torch.linspace(999, 0, steps + 1, dtype=torch.float64).round().int().tolist()
    assert Diffuser().spaced_timesteps(steps) == Diffuser().spaced_timesteps(steps, "uniform") == expected


@pytest.mark.parametrize("steps", [1, 4, 10, 20, 50, 333, 999])
def test_trailing_is_that_of_diffusers_one_step_later(steps: int) -> None:
    other = DDIMScheduler(num_train_timesteps=999, timestep_spacing="trailing")
    other.set_timesteps(steps)
    ours = Diffuser().spaced_timesteps(steps, "trailing")[:-1]
    for i, (t, theirs) in enumerate(zip(ours, other.timesteps.tolist(), strict=True)):
        a_half = 2 * 999 * i % steps == 0  # its rounding is a matter of the last bit
        assert abs(t - 1 - theirs) <= a_half


def test_quadratic_states_go_with_the_square_of_the_step() -> None:
    timesteps = Diffuser().spaced_timesteps(10, "quadratic")
    assert timesteps[::-1] == [round(999 * (i / 10) ** 2) for i in range(11)]


def test_powers_lie_between_uniform_and_quadratic() -> None:
    diffuser = Diffuser()
    for exponent, same in ((1, "uniform"), (2, "quadratic")):
        assert diffuser.spaced_timesteps(10, "power", exponent=exponent) == diffuser.spaced_timesteps(10, same)
    timesteps = diffuser.spaced_timesteps(24, "power", exponent=1.25)
    assert timesteps[::-1] == [round(999 * (i / 24) ** 1.25) for i in range(25)]


@pytest.mark.parametrize("schedule", ["linear", "sigmoid"])
def test_logsnr_states_are_evenly_spaced_in_it_up_to_state_1(schedule: str) -> None:
    # So many states that rounding to one of them is no matter.
    diffuser = Diffuser(100_000, 1e-6, 2e-4, schedule=schedule)
    timesteps = diffuser.spaced_timesteps(12, "logsnr")
    assert timesteps[-2:] == [1, 0]
    alpha_bar = diffuser.alpha_bar[timesteps[:-1]]
    # All gaps but those at either end, where states, few as they are there, lie far apart.
    gaps = torch.log(alpha_bar / (1 - alpha_bar)).diff()[1:-2]
    torch.testing.assert_close(gaps, gaps.mean().expand_as(gaps), rtol=0.02, atol=0)


def test_positions_that_would_round_to_one_state_move_to_the_next_free_ones() -> None:
    assert distinct(torch.tensor([0, 0.1, 0.2, 5, 9]), 10) == [9, 5, 2, 1, 0]
    assert distinct(torch.tensor([0, 8.8, 8.9, 9]), 10) == [9, 8, 7, 0]


def test_an_unknown_spacing_is_refused_by_a_sentence_that_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no spacing 'wide'; choose from: uniform, .*logsnr"):
        Diffuser().spaced_timesteps(5, "wide")


@pytest.mark.parametrize("rho", [1.0, 3.0, 7.0])
def test_karras_states_are_even_in_a_root_of_the_noise_to_signal_ratio(rho: float) -> None:
    diffuser = Diffuser(100_000, 1e-6, 2e-4)  # so many states that rounding to one of them is no matter
    timesteps = diffuser.spaced_timesteps(12, "karras", rho=rho)
    assert timesteps[-2:] == [1, 0]
    alpha_bar = diffuser.alpha_bar[timesteps[:-2]]
    gaps = ((1 - alpha_bar) / alpha_bar).pow(0.5 / rho).diff()[1:]
    torch.testing.assert_close(gaps, gaps.mean().expand_as(gaps), rtol=0.02, atol=0)
    assert diffuser.spaced_timesteps(12, "karras") == diffuser.spaced_timesteps(12, "karras", rho=7.0)


def test_churn_raises_the_noise_to_signal_ratio_before_every_step_but_the_first() -> None:
    diffuser = Diffuser(100_000, 1e-6, 2e-4)
    timesteps = diffuser.spaced_timesteps(10, "karras")
    path = churned_timesteps(timesteps, diffuser.alpha_bar, churn=2.0)  # gamma = 0.2
    ratio = ((1 - diffuser.alpha_bar) / diffuser.alpha_bar).sqrt()
    rises = [(s, risen) for s, risen in pairwise(path) if risen > s]
    assert [s for s, _ in rises] == timesteps[1:-2]  # none from state 1, whose neighbour is too far, nor from 0
    for s, risen in rises[:-1]:
        assert ratio[risen] / ratio[s] == pytest.approx(1.2, rel=0.01)
    assert [t for t in path if t not in {risen for _, risen in rises}] == timesteps
    assert churned_timesteps(timesteps, diffuser.alpha_bar, churn=0.0) == timesteps
    most = churned_timesteps(timesteps, diffuser.alpha_bar, churn=1e3)
    assert ratio[most[2]] / ratio[most[1]] == pytest.approx(2**0.5, rel=0.01)  # gamma is at most sqrt(2) - 1
