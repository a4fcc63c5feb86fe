"""Wrappers around a predictor that guide it."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ddpm_core.diffusion import guidance
from ddpm_core.diffusion.constraints import CLAMPS, repaint_timesteps
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.guidance import (
    autoguidance,
    classifier_free_guidance,
    classifier_guidance,
    low_frequencies,
    static_thresholding,
)
from ddpm_core.diffusion.illusions import VIEWS, anagram, hybrid, rearranged
from ddpm_core.diffusion.noise import SeededNoise
from ddpm_core.diffusion.prediction import Prediction, Predictor
from ddpm_core.diffusion.samplers import SAMPLERS, sample_loop
from tests.predictors import of_noise, uneven, with_variance

Z, T = torch.randn(2, 4, 5, 5), torch.tensor([3, 700])


@of_noise
def good(z: Tensor, t: Tensor) -> Tensor:
    return 0.5 * z + 0.001 * t[:, None, None, None]


@of_noise
def poor(z: Tensor, t: Tensor) -> Tensor:
    return 0.2 * z


@of_noise
def by_class(z: Tensor, t: Tensor, labels: Tensor) -> Tensor:
    return good(z, t).eps + 0.1 * z.abs() * labels[:, None, None, None]


def bell(z: Tensor, t: Tensor) -> Tensor:
    """log p of three classes for latents (B, C, h, w): the classes' are bells around -1, 0 and 1."""
    apart = z.flatten(1)[:, None] - torch.tensor([-1.0, 0.0, 1.0])[None, :, None]  # (B, 3, C h w)
    return -apart.square().sum(2) / 2


@pytest.mark.parametrize("scale", [0.5, 3])
def test_classifier_guidance_is_the_formula_of_dhariwal_and_nichol_inside_inference_too(scale: float) -> None:
    with torch.inference_mode():  # as the pipeline runs it
        guided = classifier_guidance(good, bell, 2, Diffuser(), scale)(Z.clone(), T.clone()).eps
    sigma = (1 - Diffuser().alpha_bar[T]).sqrt().float()[:, None, None, None]
    torch.testing.assert_close(guided, good(Z, T).eps - scale * sigma * (1 - Z))
    torch.testing.assert_close(classifier_guidance(good, bell, 2, Diffuser(), 0)(Z, T).eps, good(Z, T).eps)


def test_scale_1_is_the_model_alone_and_0_the_weaker_one() -> None:
    torch.testing.assert_close(autoguidance(good, poor, 1)(Z, T).eps, good(Z, T).eps)
    torch.testing.assert_close(autoguidance(good, poor, 0)(Z, T).eps, poor(Z, T).eps)


@pytest.mark.parametrize("scale", [1.5, 3])
def test_above_1_it_goes_on_in_the_direction_from_the_weaker_to_the_better(scale: float) -> None:
    guided = autoguidance(good, poor, scale)(Z, T).eps
    torch.testing.assert_close(guided - poor(Z, T).eps, scale * (good(Z, T).eps - poor(Z, T).eps))


def test_two_that_agree_are_left_alone() -> None:
    torch.testing.assert_close(autoguidance(good, good, 4)(Z, T).eps, good(Z, T).eps)


def test_in_a_limited_interval_the_weaker_one_counts_only_there_and_is_not_asked_elsewhere() -> None:
    t = torch.tensor([299, 300, 700, 701])
    z = Z[:1].repeat(4, 1, 1, 1)
    limited, everywhere = (autoguidance(good, poor, 3, interval)(z, t).eps for interval in ((300, 700), None))
    torch.testing.assert_close(limited[1:3], everywhere[1:3])
    torch.testing.assert_close(limited[[0, 3]], good(z, t).eps[[0, 3]])

    def never(noisy: Tensor, t: Tensor) -> Prediction:
        raise AssertionError("asked outside its interval")

    torch.testing.assert_close(autoguidance(good, never, 3, (300, 700))(z, t + 500).eps, good(z, t + 500).eps)


def test_low_frequencies_are_steered_by_a_scale_of_their_own() -> None:
    def off_by(difference: torch.Tensor) -> Predictor:
        return lambda noisy, t: Prediction(good(noisy, t).eps - difference)

    z = torch.randn(2, 4, 16, 16)
    tone = torch.full_like(z, 0.3)
    grain = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(8, 8).expand_as(z)  # averages to 0 over 4 x 4 cells
    for difference, scale in ((tone, 0.5), (grain, 3.0)):
        steered = autoguidance(good, off_by(difference), 3, low_scale=0.5)(z, T).eps
        torch.testing.assert_close(steered, good(z, T).eps + (scale - 1) * difference)
    both = autoguidance(good, off_by(tone + grain), 3, low_scale=3)(z, T).eps
    torch.testing.assert_close(both, autoguidance(good, off_by(tone + grain), 3)(z, T).eps)


def test_low_frequencies_of_any_grid_keep_its_mean_and_shape() -> None:
    for height, width in ((16, 16), (8, 12), (3, 5), (1, 1)):
        latent = torch.randn(2, 4, height, width) + 5
        low = low_frequencies(latent)
        assert low.shape == latent.shape
        assert low.std() < latent.std() or height * width == 1
    torch.testing.assert_close(low_frequencies(torch.full((1, 4, 6, 7), 2.0)), torch.full((1, 4, 6, 7), 2.0))


@pytest.mark.parametrize("weight", [0.0, 2.5])
def test_classifier_free_guidance_is_the_formula_of_ho_and_salimans(weight: float) -> None:
    guided = classifier_free_guidance(by_class, label=3, null_label=7, scale=1 + weight)(Z, T).eps
    conditional, unconditional = (by_class(Z, T, torch.full((2,), label)).eps for label in (3, 7))
    torch.testing.assert_close(guided, (1 + weight) * conditional - weight * unconditional)


def test_both_kinds_of_guidance_go_by_one_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guidance, "extrapolate", lambda weaker, stronger, scale: weaker + 100 * scale * stronger)
    autoguided = autoguidance(good, poor, 2)(Z, T).eps
    torch.testing.assert_close(autoguided, poor(Z, T).eps + 200 * good(Z, T).eps)
    guided = classifier_free_guidance(by_class, label=3, null_label=7, scale=2)(Z, T).eps
    conditional, unconditional = (by_class(Z, T, torch.full((2,), label)).eps for label in (3, 7))
    torch.testing.assert_close(guided, unconditional + 200 * conditional)


def test_what_is_predicted_is_clipped_to_the_limit_and_left_alone_within() -> None:
    diffuser = Diffuser()
    predicted = diffuser.denoised(Z, uneven(Z, T).eps, T)
    limit = predicted.abs().median().item()
    clean = diffuser.denoised(Z, static_thresholding(uneven, diffuser, limit)(Z, T).eps, T)
    torch.testing.assert_close(clean, predicted.clamp(-limit, limit), rtol=1e-3, atol=1e-3)


# A learned variance


def test_guidance_keeps_the_variance_of_what_it_guides() -> None:
    guided = autoguidance(with_variance(0.3), with_variance(0.9), 2.0)
    assert torch.equal(guided(Z, T).variance, torch.full_like(Z, 0.3))
    assert autoguidance(with_variance(None), with_variance(0.9), 2.0)(Z, T).variance is None

    by_classifier = classifier_guidance(with_variance(0.3), bell, 0, Diffuser(), 2.0)
    assert torch.equal(by_classifier(Z, T).variance, torch.full_like(Z, 0.3))

    limited = static_thresholding(with_variance(0.3), Diffuser(), 1.0)
    assert torch.equal(limited(Z, T).variance, torch.full_like(Z, 0.3))

    def by_class(noisy: Tensor, t: Tensor, labels: Tensor) -> Prediction:
        return Prediction(torch.sin(noisy), (labels.view(-1, 1, 1, 1) / 10).expand_as(noisy))

    guided = classifier_free_guidance(by_class, 3, 7, 2.0)
    torch.testing.assert_close(guided(Z, T).variance, torch.full_like(Z, 0.3))


# Any wrapper with any sampler and any constraint


WRAPPED: dict[str, Predictor] = {
    "autoguidance": autoguidance(good, poor, 1.5),
    "classifier-free guidance": classifier_free_guidance(by_class, 1, 2, 3.0),
    "classifier guidance": classifier_guidance(good, bell, 1, Diffuser(), 0.02),
    "static thresholding": static_thresholding(good, Diffuser(), 0.5),
    "rearranged": rearranged(uneven, lambda z: F.pixel_shuffle(z, 2), lambda z: F.pixel_unshuffle(z, 2)),
    "anagram": anagram([(good, VIEWS["identity"]), (good, VIEWS["turned-90"])]),
    "hybrid": hybrid(good, poor),
    "hybrid of an anagram": hybrid(anagram([(good, VIEWS["mirrored"])]), poor),
    "both": static_thresholding(classifier_free_guidance(by_class, 1, 2, 3.0), Diffuser(), 0.5),
    "anagram with a variance": anagram([(with_variance(0.4), VIEWS["mirrored"])]),
}


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("wrapper", WRAPPED)
@pytest.mark.parametrize(("clamp", "jump"), [("clean", 0), ("noised", 0), ("clean", 1), ("noised", 2)])
def test_every_wrapper_works_with_every_sampler_and_constraint_and_when_resampled(
    clamp: str, jump: int, wrapper: str, sampler: str
) -> None:
    diffuser, mask = Diffuser(), torch.ones(1, 1, 6, 6, dtype=torch.bool)
    mask[..., :3] = False
    anchor = torch.randn(1, 4, 6, 6)
    noise, timesteps = SeededNoise([0, 1], (4, 6, 6)), diffuser.spaced_timesteps(5, "logsnr")
    path = repaint_timesteps(timesteps, 2, jump) if jump else timesteps
    constrain = CLAMPS[clamp](anchor, mask, diffuser, noise)
    steps = list(sample_loop(SAMPLERS[sampler], WRAPPED[wrapper], diffuser, path, noise, constrain))
    assert [step.t for step in steps] == [then for now, then in pairwise(path) if then < now]
    samples = steps[-1].latent
    assert torch.isfinite(samples).all()
    assert torch.equal(samples[..., :3], anchor[..., :3].expand(2, -1, -1, -1))
    assert not torch.equal(samples[0], samples[1])
    for step in steps[:-1]:
        left = diffuser.alpha_bar[step.t].item() if clamp == "noised" else 1.0
        off = step.latent[..., :3] - left**0.5 * anchor[..., :3]
        assert (off.abs() <= 6 * (1 - left) ** 0.5).all()  # deviations of the noise that belongs there
