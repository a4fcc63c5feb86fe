"""Networks that are shown a condition beside the noisy latent, and asked window by window where that is large."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from ddpm_core.diffusion.concatenation import Conditioned, Windowed, starts, windows, with_augmentation
from ddpm_core.diffusion.prediction import PredictionType


class Sum:
    """A network whose output is the sum of what it is shown and of its condition, cell by cell."""

    prediction: PredictionType = "v"

    def __init__(self) -> None:
        self.shapes: set[torch.Size] = set()

    def __call__(self, noisy: Tensor, t: Tensor, *asked: Tensor | None) -> Tensor:
        self.shapes.add(noisy.shape)
        return noisy[:, :2] + noisy[:, 2:4]


def test_noise_on_a_condition_keeps_its_variance_and_says_how_much_it_is() -> None:
    condition, noise = torch.randn(2, 3, 64, 64, 64).unbind()
    shown = with_augmentation(condition, torch.tensor([0.0, 0.6, 1.0]), noise[:3])
    assert shown.shape == (3, 65, 64, 64)
    assert torch.equal(shown[0, :64], condition[0])
    assert torch.equal(shown[2, :64], noise[2])
    assert shown[1, :64].std().item() == pytest.approx(1, abs=0.02)
    assert shown[:, 64].flatten(1).unique(dim=1).flatten().tolist() == pytest.approx([0.0, 0.6, 1.0])


def test_guidance_asks_for_the_batch_twice_and_each_half_has_its_conditions() -> None:
    noisy, condition = torch.randn(4, 2, 8, 8), torch.randn(2, 2, 8, 8)
    output = Conditioned(Sum(), condition)(noisy, torch.ones(4))
    assert torch.equal(output, noisy + torch.cat([condition, condition]))


@pytest.mark.parametrize("extent", [8, 9, 14, 15, 37])
def test_windows_cover_all_cells_and_overlap(extent: int) -> None:
    begins = list(starts(extent, 8))
    assert (begins[0], begins[-1]) == (0, extent - 8)
    assert all(0 < then - now <= 6 for now, then in pairwise(begins))


def test_what_is_asked_window_by_window_is_what_a_local_network_says_of_the_whole() -> None:
    network, noisy = Sum(), torch.randn(1, 4, 13, 21)
    output = Windowed(network, 8)(noisy, torch.ones(1))
    torch.testing.assert_close(output, noisy[:, :2] + noisy[:, 2:4])
    assert network.shapes == {(1, 4, 8, 8)}


def test_windows_are_counted_alike_in_cells_and_in_pixels() -> None:
    calls: list[int] = []

    class Counted(Sum):
        def __call__(self, noisy: Tensor, t: Tensor, *asked: Tensor | None) -> Tensor:
            calls.append(1)
            return super().__call__(noisy, t)

    Windowed(Counted(), 8)(torch.randn(1, 4, 13, 21), torch.ones(1))
    assert windows(21, 13, 8) == windows(4 * 21, 4 * 13, 4 * 8) == len(calls) == 8
    assert windows(8, 8, 8) == 1


def test_where_windows_disagree_the_one_further_from_its_border_counts_more() -> None:
    class Own(Sum):
        count = 0

        def __call__(self, noisy: Tensor, t: Tensor, *asked: Tensor | None) -> Tensor:
            self.count += 1
            return torch.full((1, 1, 8, 8), float(self.count))

    row = Windowed(Own(), 8)(torch.zeros(1, 4, 8, 14), torch.ones(1))[0, 0, 0]  # windows from 0 and from 6
    assert row[:6].eq(1).all()
    assert row[8:].eq(2).all()
    assert row[6].item() == pytest.approx(1 + 0.5 / 2)  # the first one's second-last cell, the second one's first
    assert row[7].item() == pytest.approx(1 + 1.5 / 2)
