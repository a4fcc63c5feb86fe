"""Guidance: wrappers that take predictors and return one; they go around each other."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.prediction import LabelPredictor, Prediction, Predictor

Wrapper = Callable[[Predictor], Predictor]
LOW_FREQUENCIES = 4  # cells across one of their averages
LogProbabilities = Callable[[Tensor, Tensor], Tensor]  # log p(class | z_t (B, C, h, w), t (B,)), (B, K)

# What a request can put around whatever predicts: `wrapper(predict, value)`, by the request's field that has the value;
# a field that is None, or that a request does not have, puts nothing there.
WRAPPERS: dict[str, Callable[[Predictor, Any], Predictor]] = {}


def extrapolate(weaker: Tensor, stronger: Tensor, scale: float) -> Tensor:
    """From `weaker` (B, C, h, w) at 0 to `stronger` at 1, and beyond it above 1."""
    return weaker + scale * (stronger - weaker)


def classifier_free_guidance(
    predict: LabelPredictor,
    label: int | None,
    null_label: int | None,
    scale: float,
    encoder_hidden_states: Tensor | None = None,
) -> Predictor:
    """Classifier-free guidance towards a class or a caption (Ho & Salimans 2022, eq. 6, `scale` = 1 + w), in one call.

    Args:
        predict: takes a batch of 2B (B where `scale` is 1), labels (2B,) and, if given, captions (2B, L, W).
        label, null_label: the class, and "no class"; None without classes.
        scale: 1 for what is asked for alone; above 1 trades variety for closeness.
        encoder_hidden_states: (2, L, W), the caption, and the null caption or what to stay away from.
    """
    branches = 1 if scale == 1 else 2
    labels = None if label is None else [label, null_label][:branches]
    captions = None if encoder_hidden_states is None else encoder_hidden_states[:branches]

    def guided(noisy: Tensor, t: Tensor) -> Prediction:
        asked: list[Tensor | None] = [None]
        if labels is not None:
            asked = [torch.tensor(labels, device=noisy.device).repeat_interleave(len(noisy))]  # (2B,)
        if captions is not None:
            asked.append(captions.repeat_interleave(len(noisy), dim=0))  # (2B, L, W)
        eps, variance = predict(noisy.repeat(branches, 1, 1, 1), t.repeat(branches), *asked)  # (2B, C, h, w)
        if branches == 1:
            return Prediction(eps, variance)
        conditional, unconditional = eps.chunk(2)  # (B, C, h, w) each
        # Of a learned variance, that of what is asked for counts alone (so Dhariwal & Nichol 2021's code).
        return Prediction(
            extrapolate(unconditional, conditional, scale), None if variance is None else variance.chunk(2)[0]
        )

    return guided


def classifier_guidance(
    predict: Predictor, classifier: LogProbabilities, label: int, diffuser: Diffuser, scale: float
) -> Predictor:
    """Guidance by a classifier: eps - scale sqrt(1 - alpha_bar) grad log p(label | z_t) (Dhariwal & Nichol 2021,
    algorithm 2).

    Args:
        classifier: of noisy latents, differentiable by them.
        scale: 0 for `predict` alone; 1 for the product of both.
    """

    def guided(noisy: Tensor, t: Tensor) -> Prediction:
        eps, variance = predict(noisy, t)
        with torch.inference_mode(False), torch.enable_grad():
            z, at = noisy.clone().requires_grad_(), t.clone()  # (B, C, h, w), (B,): tensors that autograd may keep
            (gradient,) = torch.autograd.grad(classifier(z, at)[:, label].sum(), z)  # (B, C, h, w)
        _, sigma = diffuser.signal_and_noise(t, noisy)  # (B, 1, 1, 1)
        return Prediction(eps - scale * sigma * gradient, variance)

    return guided


def autoguidance(
    predict: Predictor,
    weaker: Predictor,
    scale: float,
    interval: tuple[int, int] | None = None,
    low_scale: float | None = None,
) -> Predictor:
    """A model steered away from the mistakes of a weaker one (Karras et al. 2024, "Guiding a Diffusion Model with a Bad
    Version of Itself", eq. 3).

    Args:
        predict, weaker: two predictors for the same latents.
        scale: 1 for `predict` alone; above 1 extrapolates.
        interval: first and last timestep at which it is steered, None for all (Kynkaanniemi et al. 2024, "Applying
            Guidance in a Limited Interval").
        low_scale: of low frequencies, which decide tone and pose; None for `scale` (Sadat et al. 2025, "Guidance in the
            Frequency Domain Enables High-Fidelity Sampling at Low CFG Scales", with `low_frequencies` for a pyramid).
    """

    def guided(noisy: Tensor, t: Tensor) -> Prediction:
        better, variance = predict(noisy, t)  # (B, C, h, w) each
        first, last = interval or (-math.inf, math.inf)
        steered = (first <= t) & (t <= last)  # (B,)
        if not steered.any():
            return Prediction(better, variance)
        weak = weaker(noisy, t).eps  # (B, C, h, w)
        eps = extrapolate(weak, better, scale)
        if low_scale is not None:
            eps = eps + (low_scale - scale) * low_frequencies(better - weak)
        return Prediction(torch.where(steered[:, None, None, None], eps, better), variance)  # (B, C, h, w)

    return guided


def low_frequencies(latent: Tensor) -> Tensor:
    """Averages of 4 x 4 cells of a latent (B, C, h, w), and what lies between them bilinearly: (B, C, h, w)."""
    height, width = latent.shape[2:]
    cells = (max(1, height // LOW_FREQUENCIES), max(1, width // LOW_FREQUENCIES))
    return F.interpolate(F.adaptive_avg_pool2d(latent, cells), (height, width), mode="bilinear")


def static_thresholding(predict: Predictor, diffuser: Diffuser, limit: float) -> Predictor:
    """Holds the clean latent that the noise implies within `limit` of 0, for pixels (Saharia et al. 2022,
    "Photorealistic Text-to-Image Diffusion Models", section 2.3; `clip_sample` in diffusers).
    """

    def thresholded(noisy: Tensor, t: Tensor) -> Prediction:
        alpha, sigma = diffuser.signal_and_noise(t, noisy)  # (B, 1, 1, 1) each
        eps, variance = predict(noisy, t)
        clean = diffuser.denoised(noisy, eps, t).clamp(-limit, limit)  # (B, C, h, w)
        return Prediction((noisy - alpha * clean) / sigma, variance)

    return thresholded
