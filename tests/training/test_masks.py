"""Regions such as people paint or leave, for training."""

from __future__ import annotations

import pytest
import torch

from ddpm_core.training.masks import masks_around_the_middle, random_masks


@pytest.mark.parametrize(("height", "width"), [(16, 16), (9, 31), (2, 3), (1, 1)])
def test_random_masks_are_boolean_maps_of_the_size_requested(height: int, width: int) -> None:
    masks = random_masks(5, height, width)
    assert masks.shape == (5, 1, height, width)
    assert masks.dtype == torch.bool


def test_random_masks_cover_from_little_to_nearly_all_and_hardly_two_are_alike() -> None:
    masks = random_masks(400, 16, 16)
    fraction = masks.float().mean((1, 2, 3))
    assert fraction.quantile(0.1) < 0.2
    assert fraction.quantile(0.9) > 0.8
    assert ((fraction > 0.3) & (fraction < 0.7)).float().mean() > 0.1
    assert len(masks.flatten(1).unique(dim=0)) > 300


def test_random_masks_hang_together_rather_than_being_grain() -> None:
    masks = random_masks(200, 16, 16)
    borders = (masks.diff(dim=3).float().mean() + masks.diff(dim=2).float().mean()) / 2
    assert borders < 0.15  # independent cells would differ from their neighbours half of the time


def test_random_masks_follow_the_global_seed() -> None:
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(random_masks(8, 16, 16))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize(("height", "width"), [(16, 16), (9, 31), (1, 1)])
def test_around_the_middle_all_is_held_but_one_upright_ellipse(height: int, width: int) -> None:
    mask = masks_around_the_middle(300, height, width)
    assert mask.shape == (300, 1, height, width)
    assert mask.dtype == torch.bool
    if height == width == 16:
        assert not mask[:, :, 7:9, 7:9].any()  # of a face near the middle, the middle
        assert mask[:, :, 0, 0].all()
        assert 0.3 < (~mask).float().mean() < 0.5
        assert len(mask.flatten(1).unique(dim=0)) > 100
        rows, columns = (~mask).any(3).sum(2).float().mean(), (~mask).any(2).sum(2).float().mean()
        assert rows > columns  # higher than wide
