"""Predictors for tests."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_core.diffusion.prediction import Prediction, Predictor


def of_noise(eps: Callable[..., Tensor]) -> Callable[..., Prediction]:
    """The predictor whose noise is what a function of latent, timesteps and maybe labels gives; no variance."""

    def predict(*asked: Tensor) -> Prediction:
        return Prediction(eps(*asked))

    return predict


@of_noise
def uneven(z: Tensor, t: Tensor) -> Tensor:
    """A predictor that treats no two cells alike."""
    height, width = z.shape[2:]
    return torch.sin(z * torch.arange(1.0, 1 + height * width).view(height, width)) + 0.3


def with_variance(variance: float | None) -> Predictor:
    """One that says the same of the variance everywhere, or nothing."""

    def predict(z: Tensor, t: Tensor) -> Prediction:
        return Prediction(torch.sin(z), None if variance is None else torch.full_like(z, variance))

    return predict
