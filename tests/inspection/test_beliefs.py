"""What is believed along a run: the predictions themselves, their spectra, and how much of each band is settled."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddpm_core.diffusion.samplers import last
from ddpm_core.inspection.autoencoder import difference_picture
from ddpm_core.inspection.beliefs import BANDS, OWN, BeliefsRequest, agreement, beliefs, brightness, power_spectrum
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest


def test_beliefs_are_the_predictions_of_the_run(tiny_model: LatentDiffusion) -> None:
    run, request = beliefs(tiny_model, 3, 4, "ddim"), GenerateRequest(seed=3, steps=4, sampler="ddim")
    steps = list(tiny_model.generate(request))
    assert [one.t for one in run] == tiny_model.diffuser.spaced_timesteps(4)[:-1]
    for one, step in zip(run, steps, strict=True):
        assert np.array_equal(np.asarray(one.picture), np.asarray(tiny_model.pictures(step.denoised)[0]))
        assert one.spectrum == power_spectrum(brightness(one.picture))
        assert one.agreement == agreement(brightness(one.picture), brightness(run[-1].picture))
    end = tiny_model.pictures(last(iter(steps)).latent)[0]
    assert np.array_equal(np.asarray(run[-1].picture), np.asarray(end))
    change = difference_picture(run[1].picture, run[2].picture, times=4)
    assert np.array_equal(np.asarray(run[2].change), np.asarray(change))
    assert run[-1].agreement == pytest.approx(dict.fromkeys(BANDS, 1.0))


def test_unless_told_otherwise_a_seed_ends_on_the_picture_it_makes_elsewhere(
    tiny_model: LatentDiffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiny_model, "defaults", {"generate": {"sampler": "ddpm", "spacing": "quadratic", "steps": 6}})
    assert (BeliefsRequest().steps, BeliefsRequest().sampler) == (0, OWN)
    run, request = beliefs(tiny_model, 5, 0, OWN), tiny_model.request(GenerateRequest, seed=5)
    made = tiny_model.pictures(last(tiny_model.generate(request)).latent)[0]
    assert np.array_equal(np.asarray(run[-1].picture), np.asarray(made))
    assert [one.t for one in run] == tiny_model.diffuser.spaced_timesteps(6, "quadratic")[:-1]
    assert [one.t for one in beliefs(tiny_model, 5, 0, "ddim")] == tiny_model.diffuser.spaced_timesteps(6)[:-1]


def test_a_wave_has_its_power_at_its_own_frequency() -> None:
    x = torch.arange(32) * 2 * torch.pi / 32
    wave = torch.cos(5 * x).expand(32, 32)
    spectrum = power_spectrum(wave)
    assert len(spectrum) == 16
    assert int(np.argmax(spectrum)) == 5 - 1
    assert sum(spectrum) - max(spectrum) < 1e-6


def test_bands_agree_where_pictures_are_alike() -> None:
    x = torch.arange(64, dtype=torch.float64) * 2 * torch.pi / 64
    coarse, fine = torch.cos(2 * x).expand(64, 64), torch.cos(20 * x).expand(64, 64)
    both = coarse + fine
    assert agreement(coarse, both)["coarse"] == pytest.approx(1, abs=1e-4)
    assert agreement(coarse - fine, both)["fine"] == pytest.approx(-1, abs=1e-4)
    assert abs(agreement(coarse, both)["fine"]) < 0.01
