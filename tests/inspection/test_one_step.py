"""A blur, one prediction, many steps: each is what it is called."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ddpm_core.diffusion.noise import SeededNoise
from ddpm_core.diffusion.samplers import last
from ddpm_core.inspection.autoencoder import psnr
from ddpm_core.inspection.one_step import (
    MANY,
    WIDTHS,
    OneStepRequest,
    best_blur,
    gaussian_blur,
    ladder,
    three_ways,
    timesteps_from,
)
from ddpm_core.inspection.subject import subject_of_seed
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest


def test_all_start_from_the_same_state(tiny_model: LatentDiffusion) -> None:
    subject, t = subject_of_seed(tiny_model, 3), torch.tensor([300])
    made = three_ways(tiny_model, subject, OneStepRequest(t=300, steps=4, noise=5))
    noisy = tiny_model.diffuser.add_noise(subject.latent, SeededNoise([5], subject.latent.shape[1:])(), t)
    with torch.inference_mode():
        predicted = tiny_model.diffuser.denoised(noisy, tiny_model.predict(noisy, t).eps, t)
    for estimate, latent in ((made.noisy, noisy), (made.predicted, predicted)):
        (picture,) = tiny_model.pictures(latent)
        assert np.array_equal(np.asarray(estimate.picture), np.asarray(picture))
        assert estimate.psnr == psnr(subject.picture, picture)
    assert made.calls == 2  # states 250 and 0
    at_once = three_ways(tiny_model, subject, OneStepRequest(t=300, steps=1, noise=5, sampler="ddim"))
    assert np.array_equal(np.asarray(at_once.iterated.picture), np.asarray(made.predicted.picture))


def test_a_run_from_a_state_passes_through_those_below(tiny_model: LatentDiffusion) -> None:
    assert timesteps_from(tiny_model, 300, 4) == [300, 250, 0]
    assert timesteps_from(tiny_model, 999, 2) == tiny_model.diffuser.spaced_timesteps(2)


def test_a_blur_is_a_gaussian_and_the_best_is_the_nearest() -> None:
    spike = torch.zeros(1, 2, 21, 21)
    spike[:, 0, 10, 10] = 1
    blurred = gaussian_blur(spike, 1.5)
    y, x = np.mgrid[-10:11, -10:11]
    expected = np.exp(-(x**2 + y**2) / (2 * 1.5**2)) / (2 * math.pi * 1.5**2)
    assert np.abs(blurred[0, 0].numpy() - expected).max() < 1e-3
    assert not blurred[0, 1].any()
    flat = torch.full((1, 2, 8, 8), 3.0)
    assert torch.allclose(gaussian_blur(flat, 4.0), flat)
    _, width = best_blur(flat + torch.randn(flat.shape), flat)
    assert width > 1  # much noise wants a wide one, none the narrowest
    assert best_blur(spike, spike)[1] == WIDTHS[0]
    noisy = flat + torch.randn(flat.shape)
    errors = [(gaussian_blur(noisy, one) - flat).square().mean().item() for one in WIDTHS]
    assert best_blur(noisy, flat)[1] == WIDTHS[int(np.argmin(errors))]


def test_the_ladder_holds_few_steps_against_many(tiny_model: LatentDiffusion) -> None:
    rungs = ladder(tiny_model, 3, "ddim")
    assert [rung.steps for rung in rungs] == [1, 2, 5, 10, 20, MANY]
    for rung in (rungs[2], rungs[-1]):
        run = tiny_model.generate(GenerateRequest(seed=3, steps=rung.steps, sampler="ddim"))
        assert np.array_equal(np.asarray(rung.picture), np.asarray(tiny_model.pictures(last(run).latent)[0]))
    assert rungs[2].psnr == psnr(rungs[2].picture, rungs[-1].picture)
    assert rungs[-1].psnr == math.inf
    assert rungs[4].psnr > rungs[0].psnr
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        OneStepRequest(t=0)
