"""Distances between sets of pictures."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ddpm_core.data.load import PictureSet
from ddpm_core.evaluation.distances import (
    DRAWS,
    band_and_coarser,
    descriptors,
    distances_to_training,
    groups,
    memorised,
    nearest_distances,
    pyramid_sizes,
    sliced_wasserstein,
)


def textures(count: int, seed: int = 0, size: int = 64) -> Tensor:
    """Pictures (count, 3, size, size) in [-1, 1] with detail of every size, the finer the fainter, as photos have."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.zeros(count, 3, size, size)
    side = size
    while side >= 4:
        noise = torch.randn(count, 3, side, side, generator=generator)
        image += 1.6 / side * F.interpolate(noise, size=size, mode="bicubic")
        side //= 2
    return image.clamp(-1, 1)


def as_set(image: Tensor) -> PictureSet:
    return PictureSet(((image.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8), [])


def test_the_pyramid_has_the_papers_levels_and_adds_up_to_the_picture() -> None:
    assert pyramid_sizes(128) == [128, 64, 32, 16]
    assert (pyramid_sizes(64), pyramid_sizes(40), pyramid_sizes(9)) == ([64, 32, 16], [40, 20], [9])
    image = textures(2)
    fine, half = band_and_coarser(image)
    middle, total = band_and_coarser(half)
    assert [band.shape[2] for band in (fine, middle, total)] == [64, 32, 16]
    for band in (middle, fine):
        spread = torch.zeros_like(band)
        spread[:, :, ::2, ::2] = total
        kernel = torch.tensor([1.0, 4, 6, 4, 1]) / 8
        kernel = (kernel[:, None] * kernel).expand(3, 1, 5, 5)
        total = band + F.conv2d(F.pad(spread, (2, 2, 2, 2), mode="reflect"), kernel, groups=3)
    assert torch.allclose(total, image, atol=1e-5)


def test_a_band_of_a_blank_picture_is_zero_and_the_rest_keeps_its_brightness() -> None:
    fine, rest = band_and_coarser(torch.full((1, 3, 32, 32), 0.4))
    assert fine.abs().max() < 1e-6
    assert torch.allclose(rest, torch.full((1, 3, 16, 16), 0.4), atol=1e-6)


def test_descriptors_are_7x7_patches_128_of_each_picture_normalised_by_channel() -> None:
    found = list(descriptors(as_set(textures(3) * 0.5 + 0.2)))[1]
    assert found.shape == (3 * 128, 3 * 49)
    channels = found.view(-1, 3, 49).transpose(0, 1).flatten(1)
    assert channels.mean(1).abs().max() < 1e-4
    assert (channels.std(1) - 1).abs().max() < 1e-3
    drawn = [list(descriptors(as_set(textures(3)), seed))[1] for seed in (1, 2)]
    assert not torch.equal(*drawn)


def test_descriptors_of_the_last_level_are_cut_from_the_picture_where_it_has_one_level() -> None:
    pixels = torch.arange(3 * 9 * 9, dtype=torch.uint8).view(1, 3, 9, 9)
    found = next(descriptors(PictureSet(pixels, []))).view(-1, 3, 7, 7)
    steps = found[:, :, :, 1:] - found[:, :, :, :-1]  # neighbours of a ramp differ by the same everywhere
    assert steps.max() - steps.min() < 1e-4
    assert (found[:, :, 1:] - found[:, :, :-1]).mean() == pytest.approx(9 * steps.mean().item(), rel=1e-4)


def test_the_distance_of_a_set_of_the_same_kind_is_small_and_of_a_changed_one_large_at_the_right_level() -> None:
    image = textures(48)
    halves = as_set(image[:24]), image[24:]
    noised = halves[1] + 0.2 * torch.randn(24, 3, 64, 64)
    blurred = F.conv2d(F.pad(halves[1], (2, 2, 2, 2), mode="reflect"), torch.ones(3, 1, 5, 5) / 25, groups=3)
    # A checkerboard of 32-pixel squares: hardly anything of it is left in the finer bands.
    board = F.interpolate(torch.tensor([[1.0, -1], [-1, 1]]).view(1, 1, 2, 2), size=64)
    shaded = 0.4 * halves[1] + 0.6 * board
    same, by_noise, by_blur, by_shade = sliced_wasserstein(
        halves[0], [as_set(x) for x in (halves[1], noised, blurred, shaded)]
    )
    assert (same > 0).all()
    assert by_noise[0] > 1.5 * same[0]
    assert by_noise[2] < 1.2 * same[2]
    assert by_blur[0] > 1.5 * same[0]
    assert by_blur[2] < 1.2 * same[2]
    assert by_shade[2] > 2 * same[2]


def test_the_distance_of_points_on_a_line_is_known() -> None:
    """Constant pictures but for a ramp: two sets whose patches differ by a known shift of the same spread."""
    low, high = torch.zeros(4, 3, 7, 7, dtype=torch.uint8), torch.zeros(4, 3, 7, 7, dtype=torch.uint8)
    low[2:], high[1:] = 200, 200  # half, and three quarters, of the pictures are bright
    measured = sliced_wasserstein(PictureSet(low, []), [PictureSet(low, []), PictureSet(high, [])])[:, 0]
    assert measured[0] == 0
    # Normalised: -1 and 1 with shares 1/2, 1/2 against -sqrt(3) and 1/sqrt(3) with shares 1/4, 3/4.
    apart = 0.25 * (3**0.5 - 1) + 0.25 * (1 + 3**-0.5) + 0.5 * (1 - 3**-0.5)
    # Along a unit direction u the points lie at the sum of its entries: sqrt(147) u.v, mean of |N(0, 1)| on average.
    assert measured[1] == pytest.approx(1000 * apart * (2 / torch.pi) ** 0.5, rel=0.15)


def test_sets_of_unequal_size_are_compared_as_distributions() -> None:
    few = PictureSet(torch.randint(0, 256, (4, 3, 7, 7), dtype=torch.uint8), [])  # with room for one patch only
    many = PictureSet(few.pixels.repeat(3, 1, 1, 1), [])
    other = PictureSet(torch.randint(0, 256, (6, 3, 7, 7), dtype=torch.uint8), [])
    assert sliced_wasserstein(few, [many])[0, 0] < 1e-3
    a, b = sliced_wasserstein(other, [few, many])
    assert a == pytest.approx(b, rel=1e-3)
    assert a > 100


def test_pictures_too_small_for_patches_are_refused() -> None:
    tiny = PictureSet(torch.zeros(2, 3, 6, 6, dtype=torch.uint8), [])
    with pytest.raises(ValueError, match="6 pixels"):
        sliced_wasserstein(tiny, [tiny])


def test_groups_are_disjoint_of_equal_size_and_spread_over_the_set() -> None:
    numbered = PictureSet(torch.arange(11).view(11, 1, 1, 1).expand(11, 3, 8, 8).to(torch.uint8), [])
    parts = [part.pixels[:, 0, 0, 0].tolist() for part in groups(numbered, 3)]
    assert [len(part) for part in parts] == [3, 3, 3]
    assert len({n for part in parts for n in part}) == 9
    assert all(max(part) - min(part) >= 6 for part in parts)


def test_many_samples_are_no_nearer_than_few_for_their_number_alone() -> None:
    training, held_out = as_set(textures(60, seed=1)), as_set(textures(6, seed=2))
    ours, floor = distances_to_training(training, as_set(textures(30, seed=3)), held_out)
    assert len(ours) == len(floor) == 3
    assert all(0.7 < a / b < 1.4 for a, b in zip(ours, floor, strict=True))
    pooled = sliced_wasserstein(training, [as_set(textures(30, seed=3))])[0]
    assert all(pooled[level] < 0.8 * ours[level] for level in range(2))  # what comparing unequal sets would have said


def test_distances_are_means_over_draws_of_patches_that_differ() -> None:
    training, samples, held_out = (as_set(textures(8, seed=seed)) for seed in range(3))
    draws = torch.stack([sliced_wasserstein(training, [samples, held_out], seed) for seed in range(DRAWS)])
    assert draws.std(0).min() > 0
    assert distances_to_training(training, samples, held_out) == tuple(draws.mean(0).tolist())


def test_the_nearest_training_picture_is_found_mirrored_too() -> None:
    training = as_set(textures(5))
    copies = PictureSet(torch.stack([training.pixels[3], training.pixels[1].flip(2)]), [])
    assert nearest_distances(copies, training).max() < 0.1
    shifted = PictureSet((training.pixels[:1].int().clamp(20, 235) + 10).to(torch.uint8), [])
    base = PictureSet(training.pixels[:1].clamp(20, 235), [])
    assert nearest_distances(shifted, base).tolist() == pytest.approx([10], abs=0.1)


def test_copies_among_samples_are_counted_and_new_pictures_are_not() -> None:
    training, held_out = as_set(textures(30, seed=1)), as_set(textures(20, seed=2))
    copies = PictureSet(training.pixels[:5].flip(3), [])
    new = as_set(textures(15, seed=3))
    samples = PictureSet(torch.cat([copies.pixels, new.pixels]), [])
    assert memorised(samples, held_out, training)["memorised_share"] == pytest.approx(5 / 20, abs=0.1)
    # The hundredth is rounded up to a whole picture.
    assert memorised(held_out, held_out, training)["memorised_share"] == pytest.approx(1 / 20)


def test_how_near_training_pictures_are_is_reported_of_samples_and_of_held_out_pictures() -> None:
    def grey(*levels: int) -> PictureSet:
        return PictureSet(torch.tensor(levels, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 8, 8), [])

    found = memorised(grey(100, 103, 210, 150), grey(90, 120, 250), grey(100, 200))
    assert found["nearest_distance"] == pytest.approx((3 + 10) / 2, abs=0.01)  # of 0, 3, 10 and 50
    assert found["nearest_distance_floor"] == pytest.approx(20, abs=0.01)  # of 10, 20 and 50
    assert found["memorised_share"] == 0.75  # nearer than 20
