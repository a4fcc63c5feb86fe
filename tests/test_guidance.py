"""Wrappers around a predictor."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ddpm_core.guidance import autoguided

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
