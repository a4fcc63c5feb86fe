"""Wrappers around a noise predictor that return another: what changes the picture without touching a sampler."""

from __future__ import annotations

from torch import Tensor

from ddpm_core.samplers import Predictor


def autoguided(predict: Predictor, weaker: Predictor, scale: float) -> Predictor:
    """A model steered away from the mistakes of a worse one (Karras et al. 2024, "Guiding a Diffusion Model
    with a Bad Version of Itself", eq. 3).

    Where the two agree nothing happens; where the weaker one, smaller and less trained, is more undecided,
    the step goes further in the direction in which the better one is surer.

    Args:
        predict, weaker: two noise predictors for the same latents.
        scale: 1 for `predict` alone; above 1 extrapolates.
    """

    def guided(noisy: Tensor, t: Tensor) -> Tensor:
        poor = weaker(noisy, t)
        return poor + scale * (predict(noisy, t) - poor)

    return guided
