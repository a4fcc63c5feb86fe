"""Wrappers around noise predictors that return another: what changes the picture without touching a sampler.

A wrapper takes predictors `predict(z_t (B,C,h,w), t (B,)) -> eps (B,C,h,w)` and gives one back, so wrappers can be
put around each other, and any sampler and any constraint works with the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.steps import Predictor, WithVariance, noise_and_share


def extrapolated(predict: Predictor, base: Predictor, scale: float) -> Predictor:
    """`base` plus `scale` times what `predict` says differently: 0 is `base`, 1 is `predict`, above 1 goes beyond.

    Of a learned variance, what `predict` says counts alone (so Dhariwal & Nichol 2021's code).
    """

    def guided(noisy: Tensor, t: Tensor) -> tuple[Tensor, Tensor | None]:
        poor, (better, share) = base(noisy, t), noise_and_share(predict, noisy, t)
        return poor + scale * (better - poor), share

    return WithVariance(guided)


def autoguided(predict: Predictor, weaker: Predictor, scale: float) -> Predictor:
    """A model steered away from the mistakes of a worse one (Karras et al. 2024, "Guiding a Diffusion Model
    with a Bad Version of Itself", eq. 3).

    Where the two agree nothing happens; where the weaker one, smaller and less trained, is more undecided,
    the step goes further in the direction in which the better one is surer.

    Args:
        predict, weaker: two noise predictors for the same latents.
        scale: 1 for `predict` alone; above 1 extrapolates.
    """
    return extrapolated(predict, weaker, scale)


def classifier_free(conditional: Predictor, unconditional: Predictor, scale: float) -> Predictor:
    """Classifier-free guidance (Ho & Salimans 2022, eq. 6, with `scale` = 1 + w).

    Args:
        conditional: the noise predictor told what to make, its condition already bound.
        unconditional: the same one told nothing.
        scale: 1 for the condition alone; above 1 follows it more closely, at the price of variety.
    """
    return extrapolated(conditional, unconditional, scale)


def told_and_untold(
    predict: Callable[[Tensor, Tensor, Tensor], Tensor], label: int, none: int, scale: float
) -> Predictor:
    """Classifier-free guidance towards a class by one network, asked for both of its answers in one call.

    Ho & Salimans 2022, eq. 6, as `classifier_free`.

    Args:
        predict: the noise (2B, C, h, w) in latents of that shape at timesteps (2B,), told their classes (2B,).
        label, none: the class, and what stands for "no class".
        scale: see `classifier_free`.
    """

    def guided(noisy: Tensor, t: Tensor) -> tuple[Tensor, Tensor | None]:
        labels = torch.tensor([label, none], device=noisy.device).repeat_interleave(len(noisy))
        eps, share = noise_and_share(predict, noisy.repeat(2, 1, 1, 1), t.repeat(2), labels)
        told, untold = eps.chunk(2)
        guided = classifier_free(lambda z, t: told, lambda z, t: untold, scale)(noisy, t)
        return guided, None if share is None else share.chunk(2)[0]

    return WithVariance(guided)


def clipped(predict: Predictor, diffuser: Diffuser, limit: float) -> Predictor:
    """The noise predicted, but such that no cell of the clean latent it implies is further from 0 than `limit`.

    Where latents are pixels, whose range is known, it keeps what is believed inside of it, x0 <- clip(x0, -limit,
    limit): "static thresholding" (Saharia et al. 2022, "Photorealistic Text-to-Image Diffusion Models", section 2.3,
    unnumbered; `clip_sample` in diffusers).
    """

    def bounded(noisy: Tensor, t: Tensor) -> tuple[Tensor, Tensor | None]:
        signal, noise = diffuser.signal_and_noise(t, noisy)
        eps, share = noise_and_share(predict, noisy, t)
        clean = diffuser.denoised(noisy, eps, t).clamp(-limit, limit)
        return (noisy - signal * clean) / noise, share

    return WithVariance(bounded)


def rearranged(predict: Predictor, to: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor]) -> Predictor:
    """A predictor for latents that are laid out in another way: `to` leads to what `predict` knows, `back` from there.

    Both only move numbers, so that noise stays noise (see `Codec.unfold`). It is no method of a paper's.
    """
    return lambda noisy, t: back(predict(to(noisy), t))


class View(NamedTuple):
    """A way to look at a picture that takes Gaussian noise to Gaussian noise: linear and orthogonal (Geng et al. 2024,
    "Visual Anagrams", section "Conditions on Views").

    Attributes:
        see, undo: (B, C, h, w) to what is seen and back.
        of_latents: whether the view of a latent is, nearly, the latent of the view. It is for flips and turns, as
            far as the codec treats all directions alike; negation inverts colours only where channels are colours.
    """

    see: Callable[[Tensor], Tensor]
    undo: Callable[[Tensor], Tensor]
    of_latents: bool = True


def _turned(quarters: int) -> View:
    return View(lambda z: z.rot90(quarters, (2, 3)), lambda z: z.rot90(-quarters, (2, 3)))


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


def anagram(looks: Sequence[tuple[Predictor, View]]) -> Predictor:
    """A picture that is, in every view, what that view's predictor makes of it (Geng et al. 2024, "Visual Anagrams").

    The noise is predicted in each view, turned back, and averaged: eps = mean_i undo_i(eps_i(see_i(z), t)), in their
    section "Parallel Denoising".

    Args:
        looks: at least one predictor with its view; with one model for all, the same predictor every time.

    Raises:
        ValueError: there is no view.
    """
    if not looks:
        raise ValueError("an anagram needs at least one view")

    def predict(noisy: Tensor, t: Tensor) -> Tensor:
        return torch.stack([view.undo(look(view.see(noisy), t)) for look, view in looks]).mean(0)

    return predict


def hybrid(low: Predictor, high: Predictor, blur: float = 1.0) -> Predictor:
    """A picture that is one thing from afar and another from close by (Geng et al. 2024, "Factorized Diffusion").

    Low frequencies of the noise are taken from one predictor and high ones from the other: eps = G(eps_low) +
    eps_high - G(eps_high) with G a Gaussian blur, in their section on the method, which splits by frequency so.

    Args:
        low, high: noise predictors for the same latents.
        blur: standard deviation of the Gaussian that parts the frequencies, cells of what is predicted, above 0.

    Raises:
        ValueError: `blur` is not above 0.
    """
    if not blur > 0:
        raise ValueError(f"the blur that parts frequencies must be above 0, not {blur}")

    def predict(noisy: Tensor, t: Tensor) -> Tensor:
        fine = high(noisy, t)
        return blurred(low(noisy, t), blur) + fine - blurred(fine, blur)

    return predict


def blurred(z: Tensor, deviation: float) -> Tensor:
    """(B, C, h, w) convolved with a Gaussian of that standard deviation, cells; edges are continued outwards."""
    radius = max(1, round(3 * deviation))
    offsets = torch.arange(-radius, radius + 1, dtype=z.dtype, device=z.device)
    weights = torch.exp(-0.5 * (offsets / deviation).square())
    weights = (weights / weights.sum()).expand(z.shape[1], 1, -1)
    padded = F.pad(z, (radius,) * 4, mode="replicate")
    across = F.conv2d(padded, weights[:, :, None, :], groups=z.shape[1])
    return F.conv2d(across, weights[:, :, :, None], groups=z.shape[1])
