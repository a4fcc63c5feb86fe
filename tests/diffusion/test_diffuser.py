"""The noise schedule, held against the closed form and against diffusers."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from diffusers import DDPMScheduler

from ddpm_core.diffusion.diffuser import Diffuser


def reference(states: int) -> DDPMScheduler:
    """diffusers counts noising steps, we count states: its step t-1 leads to our state t."""
    return DDPMScheduler(num_train_timesteps=states - 1, beta_start=1e-4, beta_end=2e-2, beta_schedule="linear")


@pytest.mark.parametrize("states", [2, 3, 100, 1000])
def test_n_states_have_n_minus_1_noising_steps_with_evenly_spaced_betas(states: int) -> None:
    diffuser = Diffuser(states)
    assert diffuser.betas.shape == diffuser.alpha_bar.shape == (states,)
    assert diffuser.betas[0] == 0
    steps = torch.linspace(1e-4, 2e-2, states - 1, dtype=torch.float64)
    torch.testing.assert_close(diffuser.betas[1:], steps, rtol=0, atol=1e-15)


def test_state_0_is_the_clean_image_and_every_further_state_holds_less_of_it() -> None:
    alpha_bar = Diffuser().alpha_bar
    assert alpha_bar[0] == 1
    assert (alpha_bar.diff() < 0).all()
    assert 0 < alpha_bar[-1] < 1e-4


def test_alpha_bar_is_the_product_of_what_each_step_leaves() -> None:
    diffuser = Diffuser(50)
    product = 1.0
    for t in range(50):
        product *= 1 - diffuser.betas[t].item()
        assert diffuser.alpha_bar[t].item() == pytest.approx(product, rel=1e-12)


@pytest.mark.parametrize("states", [11, 1000])
def test_the_schedule_equals_that_of_diffusers_one_step_later(states: int) -> None:
    diffuser, other = Diffuser(states), reference(states)
    torch.testing.assert_close(diffuser.betas[1:].float(), other.betas, rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(diffuser.alpha_bar[1:].float(), other.alphas_cumprod, rtol=1e-4, atol=1e-8)


def test_adding_noise_equals_diffusers() -> None:
    clean, eps, t = torch.randn(6, 4, 3, 5), torch.randn(6, 4, 3, 5), torch.tensor([1, 2, 250, 500, 998, 999])
    ours = Diffuser().add_noise(clean, eps, t)
    torch.testing.assert_close(ours, reference(1000).add_noise(clean, eps, t - 1), rtol=1e-4, atol=1e-5)


def test_noise_added_at_state_0_is_none() -> None:
    clean = torch.randn(2, 4, 3, 3)
    assert torch.equal(Diffuser().add_noise(clean, torch.randn_like(clean), torch.zeros(2, dtype=torch.long)), clean)


def test_noising_keeps_unit_variance() -> None:
    clean, eps = torch.randn(3, 1, 200, 200), torch.randn(3, 1, 200, 200)
    noisy = Diffuser().add_noise(clean, eps, torch.tensor([1, 300, 999]))
    torch.testing.assert_close(noisy.std((1, 2, 3)), torch.ones(3), rtol=0, atol=0.02)


def test_denoising_with_the_noise_that_was_added_gives_back_the_clean_latent() -> None:
    diffuser, t = Diffuser(), torch.tensor([0, 1, 10, 500, 999])
    clean, eps = torch.randn(5, 4, 3, 3, dtype=torch.float64), torch.randn(5, 4, 3, 3, dtype=torch.float64)
    noisy = diffuser.add_noise(clean, eps, t)
    torch.testing.assert_close(diffuser.denoised(noisy, eps, t), clean, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("t", "later"), [(0, 1), (3, 4), (100, 700), (998, 999)])
def test_noising_further_gives_the_later_states_mean_and_variance(t: int, later: int) -> None:
    diffuser, clean = Diffuser(), torch.full((1, 1, 1, 1), 3.0, dtype=torch.float64)
    signal, noise = diffuser.signal_and_noise(torch.tensor([t]), clean)
    zero, one = torch.zeros_like(clean), torch.ones_like(clean)
    factor = diffuser.add_noise_between(one, t, later, zero).item()
    added = diffuser.add_noise_between(zero, t, later, one).item()
    expected_signal, expected_noise = (x.item() for x in diffuser.signal_and_noise(torch.tensor([later]), clean))
    assert factor * signal.item() == pytest.approx(expected_signal)
    assert (factor * noise.item()) ** 2 + added**2 == pytest.approx(expected_noise**2)


def test_each_entry_of_a_batch_is_noised_by_its_own_timestep() -> None:
    diffuser, t = Diffuser(), torch.tensor([5, 700])
    clean, eps = torch.randn(2, 4, 3, 3), torch.randn(2, 4, 3, 3)
    both = diffuser.add_noise(clean, eps, t)
    for i in range(2):
        assert torch.equal(both[i : i + 1], diffuser.add_noise(clean[i : i + 1], eps[i : i + 1], t[i : i + 1]))


@pytest.mark.parametrize("states", [2, 3, 50, 1000])
def test_spaced_timesteps_run_strictly_down_from_the_last_state_to_0(states: int) -> None:
    diffuser = Diffuser(states)
    for steps in {1, 2, 7, states // 2, states - 2, states - 1} & set(range(1, states)):
        timesteps = diffuser.spaced_timesteps(steps)
        assert len(timesteps) == steps + 1
        assert (timesteps[0], timesteps[-1]) == (states - 1, 0)
        assert all(t > earlier for t, earlier in pairwise(timesteps))


def test_as_many_steps_as_there_are_pass_through_every_state() -> None:
    assert Diffuser(1000).spaced_timesteps(999) == list(range(999, -1, -1))


@pytest.mark.parametrize("steps", [-1, 0, 1000])
def test_steps_the_schedule_does_not_have_are_refused(steps: int) -> None:
    with pytest.raises(ValueError, match=f"from 1 to 999, not {steps}"):
        Diffuser(1000).spaced_timesteps(steps)


def test_a_schedule_without_a_noising_step_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 timesteps"):
        Diffuser(1)


def test_the_config_builds_the_same_schedule() -> None:
    diffuser = Diffuser(77, 2e-4, 3e-2)
    assert torch.equal(Diffuser(**diffuser.config()).alpha_bar, diffuser.alpha_bar)


@pytest.mark.parametrize("t", [-1, 1000])
def test_a_timestep_that_is_no_state_is_refused(t: int) -> None:
    latent = torch.zeros(2, 4, 4, 4)
    with pytest.raises(ValueError, match=f"timesteps must be from 0 to 999, not {min(3, t)} to {max(3, t)}"):
        Diffuser().add_noise(latent, latent, torch.tensor([3, t]))
