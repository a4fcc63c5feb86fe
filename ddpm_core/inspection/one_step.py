"""One noisy state, three ways back: a blur, one prediction, many steps. And how many steps are enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from ddpm_core.diffusion.noise import SeededNoise, starting_at
from ddpm_core.diffusion.samplers import SAMPLERS, last, sample_loop
from ddpm_core.errors import UserError
from ddpm_core.inspection.autoencoder import psnr
from ddpm_core.inspection.remember import remembered
from ddpm_core.inspection.subject import MOST_STATES, InsideRequest, Subject, check_state, decoded
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import MAX_SEED, GenerateRequest, SamplerName

KEPT = 64  # answers kept of each model: every place of the page's slider
WIDTHS = tuple(round(0.1 * 1.15**i, 3) for i in range(32))  # of blurs that are tried, standard deviations in cells
LADDER = (1, 2, 5, 10, 20)  # numbers of steps that are held against `MANY`
MANY = 40


class OneStepRequest(InsideRequest):
    """Three ways back to the picture from one noisy state of it."""

    t: int = Field(500, ge=1, le=MOST_STATES - 1, description="state that all start from, up to the last, noise")
    steps: int = Field(10, ge=1, le=100, description="steps from the last state to 0; from state t as many as are left")
    # Not the checkpoint's own, which may add fresh noise: then no number of steps makes the picture of another number,
    # and the ladder leads nowhere.
    sampler: SamplerName = Field("dpm-solver++", description="how the many steps are taken")
    noise: int = Field(0, ge=0, le=MAX_SEED, description="seed of the noise that is laid over the picture")
    ladder: bool = Field(False, description="also the seed's picture in few and in many steps")


@dataclass(frozen=True)
class Estimate:
    """A clean picture that was guessed, and its PSNR in decibels against the one that was noised."""

    picture: Image.Image
    psnr: float


@dataclass(frozen=True)
class ThreeWays:
    """What became of one noisy state."""

    noisy: Estimate  # the state itself, decoded
    blurred: Estimate  # the best Gaussian blur; `width` is its standard deviation in pixels
    width: float
    predicted: Estimate  # the clean picture that the model predicts at once
    iterated: Estimate  # where the sampler ends that starts from the state, in `calls` calls of the model
    calls: int


@remembered(KEPT)
@torch.inference_mode()
def three_ways(model: LatentDiffusion, subject: Subject, request: OneStepRequest) -> ThreeWays:
    """Blur, one prediction, and many steps, all from the same state t of the latent.

    Raises:
        UserError: there is no such state, or the model makes nothing without a class.
    """
    check_state(model, request.t)
    if not model.unconditional:
        raise UserError(f"{model.name} always wants a class; choose another checkpoint for this view.")
    diffuser, t = model.diffuser, torch.full((1,), request.t)
    draws = SeededNoise([request.noise], subject.latent.shape[1:], model.device)
    noisy = diffuser.add_noise(subject.latent, draws(), t)  # (1, C, h, w)
    blurred, width = best_blur(noisy / diffuser.signal_and_noise(t, noisy)[0], subject.latent)
    predicted = diffuser.denoised(noisy, model.predict(noisy, t.to(model.device)).eps, t)  # (1, C, h, w)
    timesteps = timesteps_from(model, request.t, request.steps)
    run = sample_loop(SAMPLERS[request.sampler], model.predict, diffuser, timesteps, starting_at(noisy, draws))
    made = decoded(model, torch.cat([noisy, blurred, predicted, last(run).latent]))  # (4, C, h, w)
    estimates = [Estimate(one, psnr(subject.picture, one)) for one in made]
    return ThreeWays(
        estimates[0], estimates[1], width * model.codec.stride, estimates[2], estimates[3], len(timesteps) - 1
    )


def timesteps_from(model: LatentDiffusion, t: int, steps: int) -> list[int]:
    """State t and, below it, those that a run of so many steps passes through."""
    steps = min(steps, model.diffuser.num_timesteps - 1)
    return [t, *(s for s in model.diffuser.spaced_timesteps(steps) if s < t)]


def best_blur(noisy: Tensor, clean: Tensor, widths: Sequence[float] = WIDTHS) -> tuple[Tensor, float]:
    """Of all Gaussian blurs of `noisy` (1, C, h, w) that nearest to `clean`, and its width in cells.

    It is looked up in the answer, so it is the most a blur can.
    """
    blurs = [gaussian_blur(noisy, width) for width in widths]
    errors = torch.stack([(one - clean).square().mean() for one in blurs])  # (len(widths),)
    best = int(errors.argmin())
    return blurs[best], widths[best]


def gaussian_blur(latent: Tensor, width: float) -> Tensor:
    """A latent (B, C, h, w) blurred with a Gaussian of standard deviation `width`, in cells; edges are repeated."""
    reach = min(max(1, round(3 * width)), min(latent.shape[2:]) * 2)
    x = torch.arange(-reach, reach + 1, dtype=latent.dtype, device=latent.device)  # (2 reach + 1,)
    kernel = torch.exp(-0.5 * (x / width).square())
    kernel = (kernel / kernel.sum()).expand(latent.shape[1], 1, -1)  # (C, 1, 2 reach + 1)
    padded = F.pad(latent, (reach,) * 4, mode="replicate")  # (B, C, h + 2 reach, w + 2 reach)
    across = F.conv2d(padded, kernel[:, :, None, :], groups=latent.shape[1])  # (B, C, h + 2 reach, w)
    return F.conv2d(across, kernel[:, :, :, None], groups=latent.shape[1])  # (B, C, h, w)


@dataclass(frozen=True)
class Rung:
    """A picture that a seed makes in so many steps, and its PSNR against that of `MANY` steps, in decibels."""

    steps: int
    picture: Image.Image
    psnr: float


@remembered(8)
@torch.inference_mode()
def ladder(model: LatentDiffusion, seed: int, sampler: str) -> list[Rung]:
    """The picture of a seed in few to `MANY` steps: from where on is it the same?"""
    most = min(MANY, model.diffuser.num_timesteps - 1)
    counts = [steps for steps in LADDER if steps < most] + [most]
    requests = [GenerateRequest(seed=seed, steps=steps, sampler=sampler) for steps in counts]
    made = [model.pictures(last(model.generate(request)).latent)[0] for request in requests]
    return [Rung(steps, one, psnr(one, made[-1])) for steps, one in zip(counts, made, strict=True)]
