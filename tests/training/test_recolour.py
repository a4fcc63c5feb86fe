"""Pictures in another light."""

from __future__ import annotations

import torch

from ddpm_core.training.recolour import recolour


def test_a_picture_looks_the_same_for_the_same_seed_whatever_is_beside_it() -> None:
    image, before = torch.rand(4, 3, 8, 8) * 2 - 1, torch.get_rng_state()
    together = recolour(image, torch.tensor([5, 6, 7, 8]))
    for row, seed in enumerate((5, 6, 7, 8)):
        torch.testing.assert_close(recolour(image[row : row + 1], torch.tensor([seed]))[0], together[row])
    assert not torch.equal(recolour(image, torch.tensor([5, 6, 7, 9]))[3], together[3])
    assert torch.equal(torch.get_rng_state(), before)  # a run's own random numbers are left alone


def test_colours_move_and_stay_colours_and_every_pixel_alike_moves_alike() -> None:
    image = torch.rand(64, 3, 8, 8) * 2 - 1
    image[..., 1] = image[..., 0]
    changed = recolour(image, torch.arange(64))
    assert changed.shape == image.shape
    assert -1 <= changed.min() <= changed.max() <= 1
    torch.testing.assert_close(changed[..., 1], changed[..., 0])
    by_channel = (changed - image).mean((2, 3)).abs()
    assert 10 / 127.5 < by_channel.mean() < 60 / 127.5  # levels of 255, about
    assert (changed.mean((2, 3)) - image.mean((2, 3))).std(1).mean() > 3 / 127.5  # a tint, not only more or less light
