"""Noise: the numbers and pictures shown are those of `Diffuser`."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.noise import SeededNoise
from ddpm_core.diffusion.schedules import SCHEDULES
from ddpm_core.errors import UserError
from ddpm_core.images.files import to_pictures
from ddpm_core.inspection.noising import OWN, NoiseRequest, levels_at, noised, schedule_curves
from ddpm_core.inspection.subject import subject_of_seed
from ddpm_core.pipeline import LatentDiffusion


@pytest.mark.parametrize("schedule", [OWN, "cosine"])
def test_the_noised_picture_is_that_of_the_diffuser(tiny_model: LatentDiffusion, schedule: str) -> None:
    subject, request = subject_of_seed(tiny_model, 3), NoiseRequest(seed=3, t=400, schedule=schedule, noise=5)
    made = noised(tiny_model, subject, request)
    diffuser = tiny_model.diffuser if schedule == OWN else Diffuser(schedule=schedule)
    alpha_bar = diffuser.alpha_bar[400].item()
    for picture, clean in ((made.pixels, subject.image), (made.decoded, subject.latent)):
        eps = SeededNoise([5], clean.shape[1:])()
        state = diffuser.add_noise(clean, eps, torch.tensor([400]))
        expected = to_pictures(state)[0] if picture is made.pixels else tiny_model.pictures(state)[0]
        assert np.array_equal(np.asarray(picture), np.asarray(expected))
    assert made.alpha_bar == alpha_bar
    assert made.log_snr == pytest.approx(math.log(alpha_bar / (1 - alpha_bar)))
    assert len(made.channels) == tiny_model.codec.latent_channels


def test_state_0_is_the_picture_and_states_beyond_the_last_are_refused(tiny_model: LatentDiffusion) -> None:
    subject = subject_of_seed(tiny_model, 3)
    made = noised(tiny_model, subject, NoiseRequest(t=0))
    assert np.array_equal(np.asarray(made.pixels), np.asarray(subject.picture))
    assert (made.alpha_bar, made.log_snr) == (1, math.inf)
    short = LatentDiffusion(tiny_model.codec, tiny_model.denoiser, Diffuser(50), tiny_model.size, "short")
    with pytest.raises(UserError, match="at most 49"):
        noised(short, subject, NoiseRequest(t=50))


def test_the_curves_are_those_of_every_schedule(tiny_model: LatentDiffusion) -> None:
    curves, here = schedule_curves(tiny_model), levels_at(tiny_model, 500)
    assert {*curves} == {*here} == {OWN, *SCHEDULES}
    for name in set(curves) - {OWN}:
        alpha_bar = Diffuser(schedule=name).alpha_bar
        assert {t: level.alpha_bar for t, level in curves[name].items()} == {
            t: alpha_bar[t].item() for t in curves[name]
        }
        assert here[name].alpha_bar == alpha_bar[500].item()
        assert here[name].log_snr == pytest.approx(torch.logit(alpha_bar[500]).item())
    assert schedule_curves(tiny_model) is curves
