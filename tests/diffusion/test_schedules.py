"""Noise schedules, held against diffusers and against their formulas."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from diffusers import DDPMScheduler

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.native import CheckpointConfig
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.schedules import MAX_BETA, SCHEDULES

THEIR_NAMES = {
    "linear": "linear",
    "scaled-linear": "scaled_linear",
    "quadratic": "scaled_linear",
    "cosine": "squaredcos_cap_v2",
    "sigmoid": "sigmoid",
}


@pytest.mark.parametrize("states", [12, 1000])
@pytest.mark.parametrize("name", THEIR_NAMES)
def test_betas_and_alpha_bar_equal_those_of_diffusers_one_step_later(name: str, states: int) -> None:
    ends = {"beta_start": 8.5e-4, "beta_end": 1.2e-2}
    ours = Diffuser(states, **ends, schedule=name)
    theirs = DDPMScheduler(num_train_timesteps=states - 1, beta_schedule=THEIR_NAMES[name], **ends)
    torch.testing.assert_close(ours.betas[1:].float(), theirs.betas, rtol=0, atol=1e-6)
    torch.testing.assert_close(ours.alpha_bar[1:].float(), theirs.alphas_cumprod, rtol=0, atol=1e-6)


@pytest.mark.parametrize("states", [2, 3, 100, 1000])
@pytest.mark.parametrize("name", SCHEDULES)
def test_noise_grows_strictly_from_none_to_nearly_all(name: str, states: int) -> None:
    diffuser = Diffuser(states, schedule=name)
    assert diffuser.betas.shape == diffuser.alpha_bar.shape == (states,)
    assert diffuser.betas.dtype == torch.float64
    assert diffuser.alpha_bar[0] == 1
    assert (diffuser.alpha_bar.diff() < 0).all()
    assert diffuser.alpha_bar[-1] > 0  # a sampler divides by it
    if states == 1000:
        assert diffuser.alpha_bar[-1] < 2e-3


def test_the_cosine_falls_as_its_paper_says_until_it_is_capped() -> None:
    diffuser = Diffuser(1000, schedule="cosine")

    def f(t: int) -> float:
        return math.cos((t / 999 + 0.008) / 1.008 * math.pi / 2) ** 2

    for t in (1, 10, 500, 998):
        assert diffuser.alpha_bar[t].item() == pytest.approx(f(t) / f(0), rel=1e-9)
    assert diffuser.betas[-1] == MAX_BETA


def test_quadratic_is_another_name_for_scaled_linear() -> None:
    assert torch.equal(Diffuser(schedule="quadratic").betas, Diffuser(schedule="scaled-linear").betas)


def test_variance_that_explodes_is_that_of_song_et_al() -> None:
    """sigma_i = 0.01 (50 / 0.01)^((i-1) / (N-1)) ("Score-based generative modeling", section C), i from 1."""
    alpha_bar = Diffuser(schedule="ve").alpha_bar
    sigma = ((1 - alpha_bar) / alpha_bar).sqrt()[1:]
    expected = 0.01 * 5000 ** (torch.arange(999, dtype=torch.float64) / 998)
    torch.testing.assert_close(sigma, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_checkpoints_config_names_its_schedule(name: str, tmp_path: Path) -> None:
    diffuser = Diffuser(50, schedule=name)
    checkpoint.write_config(tmp_path, CheckpointConfig(size=32, diffuser=diffuser.config()))
    assert checkpoint.read_config(tmp_path).diffuser["schedule"] == name
    assert torch.equal(checkpoint.load_diffuser(tmp_path).alpha_bar, diffuser.alpha_bar)


def test_a_config_from_before_there_was_a_choice_means_linear(tmp_path: Path) -> None:
    old = {"num_timesteps": 1000, "beta_start": 1e-4, "beta_end": 2e-2}
    checkpoint.write_config(tmp_path, CheckpointConfig(size=32, diffuser=old))
    diffuser = checkpoint.load_diffuser(tmp_path)
    assert diffuser.schedule == "linear"
    assert torch.equal(diffuser.betas[1:], torch.linspace(1e-4, 2e-2, 999, dtype=torch.float64))


def test_an_unknown_schedule_is_refused_by_a_sentence_that_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no noise schedule 'bus'; choose from: linear, .*cosine"):
        Diffuser(schedule="bus")


@pytest.mark.parametrize("ends", [(0.0, 2e-2), (1e-4, 1.0), (-0.1, 0.5), (1e-4, float("nan"))])
def test_betas_that_are_no_variances_are_refused(ends: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Diffuser(10, *ends)
