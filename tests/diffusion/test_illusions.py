"""Views, anagrams and hybrids."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.illusions import VIEWS, anagram, blurred, hybrid, rearranged
from ddpm_core.diffusion.noise import SeededNoise
from ddpm_core.diffusion.prediction import Prediction
from ddpm_core.diffusion.samplers import last, sample_loop
from ddpm_core.diffusion.steps import ddim_step, ddpm_step
from tests.predictors import of_noise, uneven, with_variance

Z, T = torch.randn(2, 4, 5, 5), torch.tensor([3, 700])
good = of_noise(lambda z, t: 0.5 * z + 0.001 * t[:, None, None, None])


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_undone_and_keeps_noise_noise(name: str) -> None:
    view, z = VIEWS[name], torch.randn(2, 4, 5, 3)
    assert torch.equal(view.undo(view.apply(z)), z)
    assert view.apply(z).square().sum() == pytest.approx(z.square().sum().item())  # orthogonal
    assert torch.equal(view.apply(z), z) == (name == "identity")


def test_views_are_what_they_are_called() -> None:
    z = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    applied = {name: view.apply(z).flatten().tolist() for name, view in VIEWS.items()}
    assert applied == {
        "identity": [1, 2, 3, 4],
        "mirrored": [2, 1, 4, 3],
        "upside-down": [3, 4, 1, 2],
        "turned-90": [2, 4, 1, 3],
        "turned-180": [4, 3, 2, 1],
        "turned-270": [3, 1, 4, 2],
        "negated": [-1, -2, -3, -4],
    }
    assert {name for name, view in VIEWS.items() if not view.of_latents} == {"negated"}


@pytest.mark.parametrize("name", VIEWS)
def test_an_anagram_of_one_view_predicts_as_the_model_does_in_that_view(name: str) -> None:
    view, z = VIEWS[name], torch.randn(2, 4, 5, 3)
    torch.testing.assert_close(view.apply(anagram([(uneven, view)])(z, T).eps), uneven(view.apply(z), T).eps)


def test_an_anagram_is_the_mean_over_its_views() -> None:
    predictors = [(good, VIEWS["identity"]), (uneven, VIEWS["upside-down"]), (uneven, VIEWS["negated"])]
    expected = (good(Z, T).eps + uneven(Z.flip(2), T).eps.flip(2) - uneven(-Z, T).eps) / 3
    torch.testing.assert_close(anagram(predictors)(Z, T).eps, expected)


def test_an_anagram_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one view"):
        anagram([])


# Frequencies


def test_a_hybrid_has_the_low_frequencies_of_one_and_the_high_ones_of_the_other() -> None:
    denoised = hybrid(good, uneven, blur=1.5)(Z, T).eps
    expected = uneven(Z, T).eps + blurred(good(Z, T).eps - uneven(Z, T).eps, 1.5)
    torch.testing.assert_close(denoised, expected)


def test_a_hybrid_of_a_model_with_itself_is_the_model() -> None:
    torch.testing.assert_close(hybrid(uneven, uneven, 2.0)(Z, T).eps, uneven(Z, T).eps)


def test_a_constant_is_all_low_and_a_chequerboard_all_high() -> None:
    even = torch.full((1, 1, 12, 12), 3.0)
    y, x = torch.meshgrid(torch.arange(12), torch.arange(12), indexing="ij")
    chequered = (((x + y) % 2) * 2.0 - 1).expand(1, 1, 12, 12)
    torch.testing.assert_close(blurred(even, 1.5), even)
    assert blurred(chequered, 1.5)[..., 5:7, 5:7].abs().max() < 1e-3


def test_blurring_spreads_a_point_as_a_gaussian_of_that_deviation() -> None:
    point = torch.zeros(1, 1, 31, 31)
    point[..., 15, 15] = 1
    spread = blurred(point, 2.0)[0, 0]
    offsets = torch.arange(31.0) - 15
    assert spread.sum().item() == pytest.approx(1)
    assert (spread.sum(0) * offsets.square()).sum().item() == pytest.approx(4, rel=0.05)
    torch.testing.assert_close(spread, spread.T)


@pytest.mark.parametrize("blur", [0.0, -1.0, float("nan")])
def test_a_blur_that_splits_no_frequencies_is_refused(blur: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        hybrid(good, uneven, blur)


# A learned variance


def sure(z: torch.Tensor, t: torch.Tensor) -> Prediction:
    """A predictor that is surer of some cells than of others, and of bright ones."""
    return Prediction(uneven(z, t).eps, 0.1 * uneven(z, t).eps + 0.4)


@pytest.mark.parametrize("name", VIEWS)
def test_an_anagram_has_in_a_view_the_variance_that_is_predicted_in_that_view(name: str) -> None:
    view, z = VIEWS[name], torch.randn(2, 4, 5, 3)
    variance = anagram([(sure, view)])(z, T).variance
    moved = variance if name == "negated" else view.apply(variance)  # a variance has no sign
    torch.testing.assert_close(moved, sure(view.apply(z), T).variance)


def test_the_variance_of_two_is_their_mean_and_none_if_one_of_them_has_none() -> None:
    few, many, none = with_variance(0.2), with_variance(0.6), with_variance(None)
    for both in (
        lambda one, other: anagram([(one, VIEWS["identity"]), (other, VIEWS["mirrored"])]),
        hybrid,
    ):
        torch.testing.assert_close(both(few, many)(Z, T).variance, torch.full_like(Z, 0.4))
        assert both(few, none)(Z, T).variance is None
        assert both(none, many)(Z, T).variance is None


def test_what_is_laid_out_otherwise_keeps_the_variance_of_its_numbers() -> None:
    z = torch.randn(2, 4, 4, 6)
    folded = rearranged(sure, lambda z: F.pixel_shuffle(z, 2), lambda z: F.pixel_unshuffle(z, 2))
    torch.testing.assert_close(folded(z, T).variance, F.pixel_unshuffle(sure(F.pixel_shuffle(z, 2), T).variance, 2))
    assert rearranged(uneven, torch.neg, torch.neg)(z, T).variance is None


def test_an_anagram_of_a_model_that_learned_its_variance_takes_it_in_ancestral_steps() -> None:
    """Of one view alone it is the model itself, step for step."""
    diffuser = Diffuser()
    denoised = [
        last(
            sample_loop(ddpm_step, predict, diffuser, diffuser.spaced_timesteps(6), SeededNoise([3], (4, 6, 6)))
        ).latent
        for predict in (sure, anagram([(sure, VIEWS["identity"])]), uneven)
    ]
    torch.testing.assert_close(denoised[1], denoised[0])
    assert (denoised[2] - denoised[0]).abs().max() > 0.01


@pytest.mark.parametrize("name", ["mirrored", "upside-down", "turned-90"])
def test_an_anagram_of_a_view_and_itself_makes_pictures_that_look_the_same_in_it(name: str) -> None:
    """From noise that is the same in both views."""
    view = VIEWS[name]
    quarters = ["identity", "turned-90", "turned-180", "turned-270"]  # four of them close the circle
    views = [VIEWS[one] for one in (quarters if name == "turned-90" else ["identity", name])]
    start = torch.randn(1, 4, 6, 6, dtype=torch.float64)
    start = torch.stack([v.apply(start) for v in views]).mean(0)
    predict = anagram([(uneven, v) for v in views])
    diffuser = Diffuser()
    denoised = last(sample_loop(ddim_step, predict, diffuser, diffuser.spaced_timesteps(5), lambda: start)).latent
    torch.testing.assert_close(view.apply(denoised), denoised, rtol=1e-3, atol=1e-3)
