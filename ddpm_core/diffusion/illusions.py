"""Wrappers that make one picture two things: anagrams, in two views, and hybrids, from two distances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ddpm_core.diffusion.prediction import Prediction, Predictor


def rearranged(predict: Predictor, to: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor]) -> Predictor:
    """A predictor for latents laid out in another way: `to` leads to what `predict` knows, `back` from there.

    Both may only move numbers, so noise stays noise.
    """

    def rearranged_predict(noisy: Tensor, t: Tensor) -> Prediction:
        eps, variance = predict(to(noisy), t)  # laid out as the predictor knows it
        return Prediction(back(eps), None if variance is None else back(variance))

    return rearranged_predict


class View(NamedTuple):
    """A way to look at a picture that takes Gaussian noise to Gaussian noise (Geng et al. 2024, "Visual Anagrams",
    section "Conditions on Views").

    Attributes:
        apply, undo: (B, C, h, w) to what is seen and back; numbers move, and may turn their sign.
        of_latents: whether the view of a latent is, nearly, the latent of the view.
    """

    apply: Callable[[Tensor], Tensor]
    undo: Callable[[Tensor], Tensor]
    of_latents: bool = True

    def undo_variance(self, variance: Tensor) -> Tensor:
        """A variance (B, C, h, w) in this view, back: its sign left alone."""
        return self.undo(variance) * self.undo(torch.ones_like(variance))


def _turned(quarter_turns: int) -> View:
    return View(lambda z: z.rot90(quarter_turns, (2, 3)), lambda z: z.rot90(-quarter_turns, (2, 3)))


def _same(z: Tensor) -> Tensor:
    return z


# Of the views in Geng et al. 2024, "Visual Anagrams", those of which a latent's can be that of its picture, and
# negation, their colour inversion.
VIEWS: dict[str, View] = {
    "identity": View(_same, _same),
    "mirrored": View(lambda z: z.flip(3), lambda z: z.flip(3)),
    "upside-down": View(lambda z: z.flip(2), lambda z: z.flip(2)),
    "turned-90": _turned(1),
    "turned-180": _turned(2),
    "turned-270": _turned(3),
    "negated": View(torch.neg, torch.neg, of_latents=False),
}


def anagram(predictors: Sequence[tuple[Predictor, View]]) -> Predictor:
    """A picture that is, in every view, what that view's predictor makes of it (Geng et al. 2024, "Visual Anagrams").

    eps = mean_i undo_i(eps_i(apply_i(z), t)), section "Parallel Denoising"; a learned variance likewise (so their
    code), unless one has none. One model may stand several times.

    Raises:
        ValueError: there is no view.
    """
    if not predictors:
        raise ValueError("an anagram needs at least one view")

    def predict(noisy: Tensor, t: Tensor) -> Prediction:
        predictions = [(view, one(view.apply(noisy), t)) for one, view in predictors]
        eps = torch.stack([view.undo(each.eps) for view, each in predictions]).mean(0)  # (B, C, h, w)
        variances = [view.undo_variance(each.variance) for view, each in predictions if each.variance is not None]
        return Prediction(eps, _mean_of(variances, len(predictions)))

    return predict


def hybrid(low: Predictor, high: Predictor, blur: float = 1.0) -> Predictor:
    """A picture that is one thing from afar and another from close by (Geng et al. 2024, "Factorized Diffusion").

    eps = G(eps_low) + eps_high - G(eps_high), G a Gaussian blur.

    Args:
        low, high: predictors for the same latents.
        blur: deviation of the Gaussian, cells.

    Raises:
        ValueError: `blur` is not above 0.
    """
    if not blur > 0:
        raise ValueError(f"the blur that parts frequencies must be above 0, not {blur}")

    def predict(noisy: Tensor, t: Tensor) -> Prediction:
        fine, coarse = high(noisy, t), low(noisy, t)  # of (B, C, h, w)
        eps = blurred(coarse.eps, blur) + fine.eps - blurred(fine.eps, blur)  # (B, C, h, w)
        # A step's noise has all frequencies in every cell, so variances cannot be split like the noise.
        return Prediction(eps, _mean_of([v for v in (coarse.variance, fine.variance) if v is not None], 2))

    return predict


def _mean_of(variances: list[Tensor], predictors: int) -> Tensor | None:
    """None unless all predictors say something of the variance."""
    return torch.stack(variances).mean(0) if len(variances) == predictors else None


def blurred(z: Tensor, deviation: float) -> Tensor:
    """(B, C, h, w) convolved with a Gaussian of that `deviation`, cells, edges continued outwards."""
    radius = max(1, round(3 * deviation))
    offsets = torch.arange(-radius, radius + 1, dtype=z.dtype, device=z.device)  # (2 radius + 1,)
    weights = torch.exp(-0.5 * (offsets / deviation).square())  # (2 radius + 1,)
    weights = (weights / weights.sum()).expand(z.shape[1], 1, -1)  # (C, 1, 2 radius + 1)
    padded = F.pad(z, (radius,) * 4, mode="replicate")  # (B, C, h + 2 radius, w + 2 radius)
    across = F.conv2d(padded, weights[:, :, None, :], groups=z.shape[1])  # (B, C, h + 2 radius, w)
    return F.conv2d(across, weights[:, :, :, None], groups=z.shape[1])  # (B, C, h, w)
