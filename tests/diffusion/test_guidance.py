"""Wrappers around a predictor."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ddpm_core.diffusion.constraints import clamp_noised, clamp_to, resampled
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.guidance import (
    VIEWS,
    anagram,
    autoguided,
    blurred,
    classifier_free,
    clipped,
    hybrid,
    rearranged,
    told_and_untold,
)
from ddpm_core.diffusion.noise import SeededNoise
from ddpm_core.diffusion.samplers import SAMPLERS, last
from ddpm_core.diffusion.steps import Predictor

Z, T = torch.randn(2, 4, 5, 5), torch.tensor([3, 700])


def good(z: Tensor, t: Tensor) -> Tensor:
    return 0.5 * z + 0.001 * t[:, None, None, None]


def poor(z: Tensor, t: Tensor) -> Tensor:
    return 0.2 * z


def test_scale_1_is_the_model_alone_and_0_the_weaker_one() -> None:
    torch.testing.assert_close(autoguided(good, poor, 1)(Z, T), good(Z, T))
    torch.testing.assert_close(autoguided(good, poor, 0)(Z, T), poor(Z, T))


@pytest.mark.parametrize("scale", [1.5, 3])
def test_above_1_it_goes_on_in_the_direction_from_the_weaker_to_the_better(scale: float) -> None:
    guided = autoguided(good, poor, scale)(Z, T)
    torch.testing.assert_close(guided - poor(Z, T), scale * (good(Z, T) - poor(Z, T)))


def test_two_that_agree_are_left_alone() -> None:
    torch.testing.assert_close(autoguided(good, good, 4)(Z, T), good(Z, T))


@pytest.mark.parametrize("weight", [0.0, 2.5])
def test_classifier_free_guidance_is_the_formula_of_ho_and_salimans(weight: float) -> None:
    guided = classifier_free(good, poor, 1 + weight)(Z, T)
    torch.testing.assert_close(guided, (1 + weight) * good(Z, T) - weight * poor(Z, T))


def test_what_is_believed_is_clipped_to_the_limit_and_left_alone_within() -> None:
    diffuser = Diffuser()
    believed = diffuser.denoised(Z, uneven(Z, T), T)
    limit = believed.abs().median().item()
    clean = diffuser.denoised(Z, clipped(uneven, diffuser, limit)(Z, T), T)
    torch.testing.assert_close(clean, believed.clamp(-limit, limit), rtol=1e-3, atol=1e-3)


# Views


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_undone_and_keeps_noise_noise(name: str) -> None:
    view, z = VIEWS[name], torch.randn(2, 4, 5, 3)
    assert torch.equal(view.undo(view.see(z)), z)
    assert view.see(z).square().sum() == pytest.approx(z.square().sum().item())  # orthogonal
    assert torch.equal(view.see(z), z) == (name == "identity")


def test_views_are_what_they_are_called() -> None:
    z = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    seen = {name: view.see(z).flatten().tolist() for name, view in VIEWS.items()}
    assert seen == {
        "identity": [1, 2, 3, 4],
        "mirrored": [2, 1, 4, 3],
        "upside-down": [3, 4, 1, 2],
        "turned-90": [2, 4, 1, 3],
        "turned-180": [4, 3, 2, 1],
        "turned-270": [3, 1, 4, 2],
        "negated": [-1, -2, -3, -4],
    }
    assert {name for name, view in VIEWS.items() if not view.of_latents} == {"negated"}


def uneven(z: Tensor, t: Tensor) -> Tensor:
    """A predictor that treats no two cells alike."""
    height, width = z.shape[2:]
    return torch.sin(z * torch.arange(1.0, 1 + height * width).view(height, width)) + 0.3


@pytest.mark.parametrize("name", VIEWS)
def test_an_anagram_seen_in_one_view_predicts_as_the_model_does_in_that_view(name: str) -> None:
    view, z = VIEWS[name], torch.randn(2, 4, 5, 3)
    torch.testing.assert_close(view.see(anagram([(uneven, view)])(z, T)), uneven(view.see(z), T))


def test_an_anagram_is_the_mean_over_its_views() -> None:
    looks = [(good, VIEWS["identity"]), (uneven, VIEWS["upside-down"]), (uneven, VIEWS["negated"])]
    wanted = (good(Z, T) + uneven(Z.flip(2), T).flip(2) - uneven(-Z, T)) / 3
    torch.testing.assert_close(anagram(looks)(Z, T), wanted)


def test_an_anagram_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one view"):
        anagram([])


# Frequencies


def test_a_hybrid_has_the_low_frequencies_of_one_and_the_high_ones_of_the_other() -> None:
    made = hybrid(good, uneven, blur=1.5)(Z, T)
    wanted = uneven(Z, T) + blurred(good(Z, T) - uneven(Z, T), 1.5)
    torch.testing.assert_close(made, wanted)


def test_a_hybrid_of_a_model_with_itself_is_the_model() -> None:
    torch.testing.assert_close(hybrid(uneven, uneven, 2.0)(Z, T), uneven(Z, T))


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
def test_a_blur_that_parts_nothing_is_refused(blur: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        hybrid(good, poor, blur)


# Any wrapper with any sampler and any constraint


def by_class(z: Tensor, t: Tensor, label: Tensor) -> Tensor:
    return good(z, t) + 0.1 * label[:, None, None, None]


WRAPPED: dict[str, Predictor] = {
    "autoguided": autoguided(good, poor, 1.5),
    "classifier-free": classifier_free(good, poor, 3.0),
    "told and untold": told_and_untold(by_class, 1, 2, 3.0),
    "clipped": clipped(good, Diffuser(), 0.5),
    "rearranged": rearranged(uneven, lambda z: F.pixel_shuffle(z, 2), lambda z: F.pixel_unshuffle(z, 2)),
    "anagram": anagram([(good, VIEWS["identity"]), (good, VIEWS["turned-90"])]),
    "hybrid": hybrid(good, poor),
    "hybrid of an anagram": hybrid(anagram([(good, VIEWS["mirrored"])]), poor),
    "clipped, told and untold": clipped(told_and_untold(by_class, 1, 2, 3.0), Diffuser(), 0.5),
}


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("wrapper", WRAPPED)
@pytest.mark.parametrize(("clamp", "jump"), [("clean", 0), ("noised", 0), ("clean", 1), ("noised", 2)])
def test_every_wrapper_works_with_every_sampler_and_constraint_and_when_resampled(
    clamp: str, jump: int, wrapper: str, sampler: str
) -> None:
    diffuser, keep = Diffuser(), torch.zeros(1, 1, 6, 6, dtype=torch.bool)
    keep[..., :3] = True
    anchor = torch.randn(1, 4, 6, 6)
    noise, timesteps = SeededNoise([0, 1], (4, 6, 6)), diffuser.spaced_timesteps(5, "logsnr")
    path = resampled(timesteps, 2, jump) if jump else timesteps
    clamps = {"clean": clamp_to(anchor, keep), "noised": clamp_noised(anchor, keep, diffuser, noise)}
    steps = list(SAMPLERS[sampler](WRAPPED[wrapper], diffuser, path, noise, clamps[clamp]))
    assert [step.t for step in steps] == [then for now, then in pairwise(path) if then < now]
    made = steps[-1].latent
    assert torch.isfinite(made).all()
    assert torch.equal(made[..., :3], anchor[..., :3].expand(2, -1, -1, -1))
    assert not torch.equal(made[0], made[1])
    for step in steps[:-1]:
        left = diffuser.alpha_bar[step.t].item() if clamp == "noised" else 1.0
        off = step.latent[..., :3] - left**0.5 * anchor[..., :3]
        assert (off.abs() <= 6 * (1 - left) ** 0.5).all()  # deviations of the noise that belongs there


@pytest.mark.parametrize("name", ["mirrored", "upside-down", "turned-90"])
def test_an_anagram_of_a_view_and_itself_makes_pictures_that_look_the_same_in_it(name: str) -> None:
    """From noise that is the same in both views."""
    view = VIEWS[name]
    quarters = ["identity", "turned-90", "turned-180", "turned-270"]  # four of them close the circle
    views = [VIEWS[one] for one in (quarters if name == "turned-90" else ["identity", name])]
    start = torch.randn(1, 4, 6, 6, dtype=torch.float64)
    start = torch.stack([v.see(start) for v in views]).mean(0)
    predict = anagram([(uneven, v) for v in views])
    diffuser = Diffuser()
    made = last(SAMPLERS["ddim"](predict, diffuser, diffuser.spaced_timesteps(5), lambda: start)).latent
    torch.testing.assert_close(view.see(made), made, rtol=1e-3, atol=1e-3)
