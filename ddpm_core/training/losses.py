"""What a denoiser minimises: its timesteps, its target, and cells already clean."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from ddpm_core.diffusion.concatenation import with_augmentation
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.prediction import PredictionType, split_variance, to_eps, training_target
from ddpm_core.diffusion.variational_bound import step_bits
from ddpm_core.errors import no_such
from ddpm_core.networks.unet import Denoiser
from ddpm_core.training.masks import masks_around_the_middle, random_masks
from ddpm_core.training.shards import WHOLE, Shard
from ddpm_core.training.timesteps import LossAwareSampler, TimestepDraw, draw_timesteps

DECILES = 10
VARIATIONAL_BOUND_WEIGHT = 0.001  # of the bound beside the squared error, Nichol & Dhariwal 2021, section 3.1

Weighting = Literal["uniform", "min-snr", "p2"]

ClampDraw = Literal["drawn", "uniform"]

# Weight of the clean latent's squared error, by signal-to-noise ratio.
CLEAN_WEIGHTS: dict[Weighting, Callable[[Tensor], Tensor]] = {
    "min-snr": lambda snr: snr.clamp_max(5),  # Hang et al. 2023, section 3.4, gamma = 5
    "p2": lambda snr: snr / (1 + snr),  # Choi et al. 2022, eq. 8, k = gamma = 1, there as weight of the noise's error
}


def loss_weights(t: Tensor, weighting: Weighting, prediction: PredictionType, diffuser: Diffuser) -> Tensor:
    """What the squared error of a network's output counts at timesteps (B,) in 1..N-1: (B,), above 0.

    "uniform" counts all alike, in the network's own prediction type (Ho et al. 2020, eq. 14, for the noise). The others
    weigh the error of the clean latent, whatever the type: "min-snr" takes weight from nearly clean states, "p2" from
    the details as well. Raises `UserError` for any other.
    """
    if weighting not in get_args(Weighting):
        raise no_such("weighting", weighting, get_args(Weighting))
    if weighting == "uniform":
        return torch.ones(t.shape, device=t.device)  # (B,)
    one = torch.ones((len(t), 1, 1, 1), dtype=torch.float64)  # (B, 1, 1, 1)
    signal, noise = diffuser.signal_and_noise(t, one)  # (B, 1, 1, 1) each
    # The clean latent is linear in the output: an error of one there is one of this much here.
    implied = noise / signal * to_eps(one, torch.zeros_like(one), t, prediction, diffuser)
    weights = CLEAN_WEIGHTS[weighting]((signal / noise).square()) * implied.square()
    return weights.flatten().float().to(t.device)


def with_labels_dropped(label: Tensor, probability: float, none: int) -> Tensor:
    """Classes (B,) with a random fraction of them `none` (Ho & Salimans 2022, algorithm 1)."""
    return torch.where((torch.rand(len(label)) < probability).to(label.device), none, label)


class NoisyExamples(NamedTuple):
    """A shard's rows of a batch of latents under noise."""

    # clean, eps: (B/size, C, h, w), the latents and their noise
    clean: Tensor
    eps: Tensor
    t: Tensor  # (B/size,), their timesteps
    shown: Tensor  # (B/size, C, h, w), the latents at those, but for clean cells
    clean_cells: Tensor  # bool (B/size, 1, h, w), True where a region is clean
    counted: Tensor  # (), entries of all other cells, the mean over shards
    apart: Tensor  # bool (B/size,), whose timesteps were drawn apart


def noisy_examples(
    clean: Tensor,
    diffuser: Diffuser,
    timesteps: TimestepDraw,
    clamp_share: float,
    shard: Shard = WHOLE,
    timestep_sampler: LossAwareSampler | None = None,
    *,
    clamp_timesteps: ClampDraw = "drawn",
    clamp_middle: float = 0.0,
    recoloured: Tensor | None = None,
    clamp_recolour: float = 0.0,
) -> NoisyExamples:
    """Normalised latents (B, C, h, w) under noise; arguments and errors are those of `denoiser_loss`."""
    if clamp_timesteps not in get_args(ClampDraw):
        raise no_such("draw for examples with a clean region", clamp_timesteps, get_args(ClampDraw))
    batch, channels, height, width = clean.shape
    t = draw_timesteps(batch, timesteps, diffuser) if timestep_sampler is None else timestep_sampler.sample(batch)
    t = t.to(clean.device)  # (B,)
    eps = torch.randn_like(clean)  # (B, C, h, w)
    masks, clamped = random_masks(batch, height, width), torch.rand(batch) < clamp_share  # (B, 1, h, w), (B,)
    if clamp_middle:
        middle = torch.rand(batch, 1, 1, 1) < clamp_middle  # (B, 1, 1, 1)
        masks = torch.where(middle, masks_around_the_middle(batch, height, width), masks)  # (B, 1, h, w)
    # A fill's tone and light are decided at high noise, which other draws seldom visit.
    apart = clamped & (clamp_timesteps == "uniform")  # (B,)
    if apart.any():
        t = torch.where(apart.to(t.device), draw_timesteps(batch, "uniform", diffuser).to(t.device), t)
    if recoloured is not None:
        other_light = clamped & (torch.rand(batch) < clamp_recolour)  # (B,)
        clean = torch.where(other_light.to(clean.device)[:, None, None, None], recoloured, clean)
    noisy = diffuser.add_noise(clean, eps, t)  # (B, C, h, w)
    clean_cells = (masks & clamped[:, None, None, None]).to(clean.device)  # (B, 1, h, w), True where they are clean
    counted = ((~clean_cells).sum() * channels).clamp_min(1) / shard.size  # ()
    clean_cells, clean, eps, noisy, t, apart = (shard.take(each) for each in (clean_cells, clean, eps, noisy, t, apart))
    return NoisyExamples(clean, eps, t, torch.where(clean_cells, clean, noisy), clean_cells, counted, apart)


def denoiser_loss(
    unet: Denoiser,
    clean: Tensor,
    diffuser: Diffuser,
    timesteps: TimestepDraw,
    clamp_share: float,
    weighting: Weighting = "uniform",
    label: Tensor | None = None,
    teacher: Callable[[Tensor, Tensor], Tensor] | None = None,
    shard: Shard = WHOLE,
    timestep_sampler: LossAwareSampler | None = None,
    *,
    clamp_timesteps: ClampDraw = "drawn",
    clamp_middle: float = 0.0,
    recoloured: Tensor | None = None,
    clamp_recolour: float = 0.0,
    tokens: Tensor | None = None,
    condition: Tensor | None = None,
    conditioning_noise: float = 0.0,
) -> dict[str, Tensor]:
    """Mean squared error of the network's output on a batch of normalised latents (B, C, h, w), as "loss".

    With a learned variance a little of the variational bound is added, which teaches the variance alone (Nichol &
    Dhariwal 2021, eq. 16). "bound" is that in bits per entry, less its constant last term, true for uniform and
    importance draws.

    Args:
        clamp_share: fraction of the batch in which a random region is clean and not counted.
        label: classes (B,), if the network has any.
        teacher: gives the right output for a noisy latent, clean regions included, and its timestep.
        shard: which rows to compute of the whole batch; the mean over shards is that over the batch.
        timestep_sampler: draws timesteps and is given their losses, which are weighed as if the draw were uniform.
        clamp_timesteps: "uniform" draws those of examples with a clean region apart.
        clamp_middle: fraction of those examples whose region is `masks_around_the_middle`.
        recoloured: (B, C, h, w), in another light, for a fraction `clamp_recolour` of those examples.
        tokens: captions (B, L) as the network's `text` reads them, if it does.
        condition: (B, C, h, w), latents shown beside the noisy ones, if any are.
        conditioning_noise: highest level of the noise on those.

    Raises:
        UserError: there is no such weighting, draw, or draw for examples with a clean region.
    """
    examples = noisy_examples(
        clean, diffuser, timesteps, clamp_share, shard, timestep_sampler, clamp_timesteps=clamp_timesteps,
        clamp_middle=clamp_middle, recoloured=recoloured, clamp_recolour=clamp_recolour,
    )  # fmt: skip
    clean, eps, t, shown, clean_cells, counted, apart = examples
    channels = clean.shape[1]
    label = None if label is None else shard.take(label)
    beside = () if condition is None else (shard.take(drawn_condition(condition, conditioning_noise)),)
    with shard.fork_rng():
        captions = encoded_captions(unet, None if tokens is None else shard.take(tokens))  # (B/size, L, W)
        output, variance = split_variance(unet(torch.cat([shown, *beside], dim=1), t, label, *captions), channels)
    with torch.autocast(clean.device.type, enabled=False):  # a teacher is ready in a type of its own
        target = teacher(shown, t) if teacher else training_target(clean, eps, t, unet.prediction, diffuser)
    errors = {"loss": (output - target).square()}
    errors["loss"] = errors["loss"] * loss_weights(t, weighting, unet.prediction, diffuser)[:, None, None, None]
    if variance is not None:
        denoised = diffuser.denoised(shown, to_eps(output.detach(), shown, t, unet.prediction, diffuser), t)
        # Draws that make this untrue teach the variance too: what is best at one timestep does not depend on the rest.
        errors["bound"] = (diffuser.num_timesteps - 1) * step_bits(clean, denoised, t, diffuser, variance)
        errors["loss"] = errors["loss"] + VARIATIONAL_BOUND_WEIGHT * errors["bound"]
    if timestep_sampler is not None:
        errors = _importance_weighted(errors, t, clean_cells, timestep_sampler, apart.to(t.device))
    return {name: (each * ~clean_cells).sum() / counted for name, each in errors.items()}


def drawn_condition(condition: Tensor, noise: float) -> Tensor:
    """What a network is shown of latents (B, C, h, w), (B, C + 1, h, w): each noised at a level from 0 to `noise`."""
    level = noise * torch.rand(len(condition))  # (B,)
    return with_augmentation(condition, level, torch.randn_like(condition))


def encoded_captions(unet: Denoiser, tokens: Tensor | None) -> tuple[Tensor, ...]:
    """What a network makes of captions (B, L), (B, L, W), as one more argument to it, or none."""
    return () if tokens is None or unet.text is None else (unet.text(tokens),)


def _importance_weighted(
    errors: dict[str, Tensor], t: Tensor, clean_cells: Tensor, sampler: LossAwareSampler, apart: Tensor
) -> dict[str, Tensor]:
    """Errors (B, C, h, w) weighed as `sampler` asks, but for examples `apart` (B,), which it did not draw."""
    weights = torch.where(apart, 1.0, sampler.weights(t))[:, None, None, None]
    sums, cells = (errors["loss"].detach() * ~clean_cells).mean(1).sum((1, 2)), (~clean_cells).sum((1, 2, 3))  # (B,)
    sampler.note(t, torch.where(apart, torch.nan, sums / cells))  # not finite, and left out, where no cell counts
    return {name: each * weights for name, each in errors.items()}


@torch.inference_mode()
def loss_by_decile(
    unet: Denoiser,
    clean: Tensor,
    diffuser: Diffuser,
    batch_size: int = 64,
    label: Tensor | None = None,
    tokens: Tensor | None = None,
    condition: Tensor | None = None,
    watch: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> list[float]:
    """Mean squared error on latents (B, C, h, w) of classes `label` (B,) per tenth of the timesteps, cleanest first.

    With captions `tokens` (B, L), and `condition` (B, C, h, w) without noise. Noise is fixed, so values of one run
    compare. `watch` may wrap the tenths to show progress.
    """
    count, last = len(clean), diffuser.num_timesteps - 1
    within = (torch.arange(count) + 0.5) / count  # (N,)
    losses = []
    if condition is not None:
        condition = with_augmentation(condition, torch.zeros(count), torch.zeros_like(condition))  # (B, C + 1, h, w)
    for decile in watch(range(DECILES)):
        t = (1 + (decile + within) / DECILES * last).long().clamp_max(last).to(clean.device)  # (N,)
        eps = torch.randn(clean.shape, generator=torch.Generator().manual_seed(decile)).to(clean)  # (N, C, h, w)
        noisy, target = diffuser.add_noise(clean, eps, t), training_target(clean, eps, t, unet.prediction, diffuser)
        batches = torch.arange(count, device=clean.device).split(batch_size)
        error = 0.0
        for batch in batches:
            captions = encoded_captions(unet, None if tokens is None else tokens[batch])
            beside = () if condition is None else (condition[batch],)
            shown = torch.cat([noisy[batch], *beside], dim=1)  # (B, C + K, h, w)
            output = unet(shown, t[batch], None if label is None else label[batch], *captions)
            error += (split_variance(output, clean.shape[1])[0] - target[batch]).square().sum().item()
        losses.append(error / target.numel())
    return losses
