"""Masks on the latent grid and constraints."""

from __future__ import annotations

import pytest
import torch
from diffusers import RePaintScheduler
from torch.nn import functional as F

from ddpm_core.diffusion.constraints import clamp_noised, clamp_to, keep_cells, random_regions, resampled
from ddpm_core.diffusion.diffuser import Diffuser


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_the_safe_rule_keeps_a_cell_exactly_if_none_of_its_pixels_is_painted(stride: int) -> None:
    keep = torch.rand(3, 1, 32, 48) > 0.02
    cells = keep_cells(keep, stride)
    assert cells.shape == (3, 1, 32 // stride, 48 // stride)
    assert cells.dtype == torch.bool
    for row in range(32 // stride):
        for column in range(48 // stride):
            square = keep[:, 0, row * stride : (row + 1) * stride, column * stride : (column + 1) * stride]
            assert torch.equal(cells[:, 0, row, column], square.flatten(1).all(1))


@pytest.mark.parametrize("stride", [1, 4, 8])
def test_the_nearest_rule_is_nearest_neighbour_resizing(stride: int) -> None:
    keep = torch.rand(2, 1, 32, 24) > 0.5
    resized = F.interpolate(keep.float(), scale_factor=1 / stride, mode="nearest") > 0.5
    assert torch.equal(keep_cells(keep, stride, "nearest"), resized)


def test_one_painted_pixel_claims_its_cell_under_the_safe_rule_only() -> None:
    keep = torch.ones(1, 1, 16, 16, dtype=torch.bool)
    keep[0, 0, 3, 12] = False
    assert keep_cells(keep, 8, "safe").flatten().tolist() == [True, False, True, True]
    assert keep_cells(keep, 8, "nearest").all()


@pytest.mark.parametrize("t", [999, 500, 0])
def test_the_clamp_puts_kept_cells_to_the_anchor_and_touches_no_other(t: int) -> None:
    anchor, latent = torch.randn(2, 4, 5, 6), torch.randn(2, 4, 5, 6)
    keep = torch.rand(2, 1, 5, 6) > 0.5
    clamped = clamp_to(anchor, keep)(latent, t)
    kept = keep.expand_as(latent)
    assert torch.equal(clamped[kept], anchor[kept])
    assert torch.equal(clamped[~kept], latent[~kept])
    assert torch.equal(clamp_to(anchor, keep)(clamped, t), clamped)


def test_one_anchor_serves_a_whole_batch() -> None:
    anchor, keep = torch.randn(1, 4, 5, 6), torch.rand(1, 1, 5, 6) > 0.5
    clamped = clamp_to(anchor, keep)(torch.randn(3, 4, 5, 6), 7)
    assert clamped.shape == (3, 4, 5, 6)
    assert all(torch.equal(one[keep[0].expand_as(one)], anchor[0][keep[0].expand_as(one)]) for one in clamped)


@pytest.mark.parametrize("t", [999, 400, 1])
def test_the_noised_clamp_gives_kept_cells_the_noise_of_their_state(t: int) -> None:
    diffuser, eps = Diffuser(), torch.randn(2, 4, 5, 6)
    anchor, latent = torch.randn(1, 4, 5, 6), torch.randn(2, 4, 5, 6)
    keep = torch.rand(2, 1, 5, 6) > 0.5
    clamped = clamp_noised(anchor, keep, diffuser, lambda: eps)(latent, t)
    expected = diffuser.add_noise(anchor.expand(2, -1, -1, -1), eps, torch.full((2,), t))
    kept = keep.expand_as(latent)
    assert torch.equal(clamped[kept], expected[kept])
    assert torch.equal(clamped[~kept], latent[~kept])


def test_the_noised_clamp_ends_clean_and_draws_no_noise_for_it() -> None:
    anchor, keep = torch.randn(1, 4, 5, 6), torch.ones(2, 1, 5, 6, dtype=torch.bool)
    drawn = []
    constrain = clamp_noised(anchor, keep, Diffuser(), lambda: drawn.append(1) or torch.zeros(2, 4, 5, 6))
    assert torch.equal(constrain(torch.randn(2, 4, 5, 6), 0), anchor.expand(2, -1, -1, -1))
    assert not drawn


def test_resampling_goes_back_up_after_every_step_but_the_last() -> None:
    assert resampled([9, 6, 3, 0], 1) == [9, 6, 3, 0]
    assert resampled([9, 6, 3, 0], 3) == [9, 6, 9, 6, 9, 6, 3, 6, 3, 6, 3, 0]


def test_a_jump_goes_back_over_as_many_steps() -> None:
    assert resampled([9, 7, 6, 4, 1, 0], 2, jump=2) == [9, 7, 6, 9, 7, 6, 4, 1, 6, 4, 1, 0]
    assert resampled([9, 7, 6, 4, 1, 0], 3, jump=4) == [9, 7, 6, 4, 1, 9, 7, 6, 4, 1, 9, 7, 6, 4, 1, 0]


@pytest.mark.parametrize("jump", [1, 4, 5])
def test_a_path_without_a_whole_stretch_or_a_second_time_is_as_it_was(jump: int) -> None:
    assert resampled([9, 6, 3, 0], 1, jump) == [9, 6, 3, 0]
    assert resampled([9, 0], 5, jump) == [9, 0]
    if jump > 2:
        assert resampled([9, 6, 3, 0], 5, jump) == [9, 6, 3, 0]


@pytest.mark.parametrize(("steps", "jump"), [(10, 1), (10, 2), (10, 3), (11, 3), (10, 9), (10, 10), (250, 10)])
@pytest.mark.parametrize("times", [1, 2, 4])
def test_the_path_is_that_of_repaint_in_diffusers(steps: int, times: int, jump: int) -> None:
    """Theirs rises one state at a time, ours at once; its timesteps lie one below ours."""
    other = RePaintScheduler(num_train_timesteps=steps)
    other.set_timesteps(steps, jump_length=jump, jump_n_sample=times)
    theirs = [t + 1 for t in other.timesteps.tolist()] + [0]
    passed = {i for i in range(1, len(theirs) - 1) if theirs[i - 1] < theirs[i] < theirs[i + 1]}  # half way up
    assert resampled(range(steps, -1, -1), times, jump) == [t for i, t in enumerate(theirs) if i not in passed]
    if jump == 1:
        assert not passed


@pytest.mark.parametrize(("height", "width"), [(16, 16), (9, 31), (2, 3), (1, 1)])
def test_random_regions_are_boolean_maps_of_the_size_asked_for(height: int, width: int) -> None:
    regions = random_regions(5, height, width)
    assert regions.shape == (5, 1, height, width)
    assert regions.dtype == torch.bool


def test_random_regions_cover_from_little_to_nearly_all_and_hardly_two_are_alike() -> None:
    regions = random_regions(400, 16, 16)
    share = regions.float().mean((1, 2, 3))
    assert share.quantile(0.1) < 0.2
    assert share.quantile(0.9) > 0.8
    assert ((share > 0.3) & (share < 0.7)).float().mean() > 0.1
    assert len(regions.flatten(1).unique(dim=0)) > 300


def test_random_regions_hang_together_rather_than_being_grain() -> None:
    regions = random_regions(200, 16, 16)
    borders = (regions.diff(dim=3).float().mean() + regions.diff(dim=2).float().mean()) / 2
    assert borders < 0.15  # independent cells would differ from their neighbours half of the time


def test_random_regions_follow_the_global_seed() -> None:
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(random_regions(8, 16, 16))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
