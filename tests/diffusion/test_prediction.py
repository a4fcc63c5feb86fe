"""What a network's output means, whatever its type."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.prediction import PredictionType, split_variance, to_eps, training_target


@pytest.mark.parametrize("prediction", get_args(PredictionType))
def test_the_noise_a_perfect_output_implies_is_the_noise_that_was_added(prediction: str) -> None:
    diffuser, t = Diffuser(), torch.tensor([1, 2, 300, 998, 999])
    clean, eps = torch.randn(5, 4, 3, 3, dtype=torch.float64), torch.randn(5, 4, 3, 3, dtype=torch.float64)
    noisy = diffuser.add_noise(clean, eps, t)
    output = training_target(clean, eps, t, prediction, diffuser)
    torch.testing.assert_close(to_eps(output, noisy, t, prediction, diffuser), eps, rtol=0, atol=1e-10)


def test_targets_are_the_noise_the_clean_latent_and_the_velocity_between_them() -> None:
    diffuser, t = Diffuser(), torch.tensor([400])
    clean, eps = torch.randn(1, 4, 3, 3), torch.randn(1, 4, 3, 3)
    assert torch.equal(training_target(clean, eps, t, "eps", diffuser), eps)
    assert torch.equal(training_target(clean, eps, t, "x0", diffuser), clean)
    alpha_bar = diffuser.alpha_bar[400].item()
    velocity = alpha_bar**0.5 * eps - (1 - alpha_bar) ** 0.5 * clean  # Salimans & Ho 2022, appendix D
    torch.testing.assert_close(training_target(clean, eps, t, "v", diffuser), velocity)


def test_an_output_of_twice_the_channels_says_something_of_the_variance() -> None:
    output = torch.randn(2, 6, 3, 3)
    prediction, variance = split_variance(output, 3)
    assert torch.equal(prediction, output[:, :3])
    assert torch.equal(variance, (output[:, 3:] + 1) / 2)
    assert split_variance(output, 6)[1] is None
