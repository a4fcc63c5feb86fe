"""Pictures to measure, made as the commands make them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ddpm_core.data.load import PictureSet
from ddpm_core.diffusion.samplers import last
from ddpm_core.display.progress_bar import watched
from ddpm_core.images.files import to_bytes
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest

BATCH = 8  # pictures made, encoded or denoised at once


def sample(model: LatentDiffusion, count: int, seed: int = 0, request: GenerateRequest | None = None) -> PictureSet:
    """Pictures of the seeds from `seed` on, made as `ddpm_core.sample` does by default or as `request` says."""
    return PictureSet(torch.cat([pixels_of(model, each) for each in latents_of(model, count, seed, request)]), [])


def latents_of(
    model: LatentDiffusion, count: int, seed: int = 0, request: GenerateRequest | None = None
) -> Iterator[Tensor]:
    """The latents (B, C, h, w) of the same pictures, batch by batch."""
    request = request or model.request(GenerateRequest)
    for first in watched(range(0, count, BATCH), "sampling", "batch"):
        batch = {"seed": seed + first, "count": min(BATCH, count - first)}
        yield last(model.generate(request.model_copy(update=batch))).latent


def sample_classes(
    model: LatentDiffusion, count: int, seed: int = 0, request: GenerateRequest | None = None
) -> PictureSet:
    """At least `count` pictures, equally many of each class, labelled; made as `sample` makes them."""
    request, each = request or model.request(GenerateRequest), -(-count // len(model.classes))
    images = [
        sample(model, each, seed + number * each, request.model_copy(update={"label": label})).pixels
        for number, label in enumerate(model.classes)
    ]
    return PictureSet(torch.cat(images), [], torch.arange(len(model.classes)).repeat_interleave(each))


def sample_captions(
    model: LatentDiffusion, captions: Sequence[str], seed: int = 0, request: GenerateRequest | None = None
) -> PictureSet:
    """A picture for each caption, of the seeds from `seed` on, made as `sample` makes them."""
    request, pixels = request or model.request(GenerateRequest), []
    for number, caption in enumerate(watched(captions, "sampling", "picture")):
        one = request.model_copy(update={"prompt": caption, "seed": seed + number, "count": 1})
        pixels.append(pixels_of(model, last(model.generate(one)).latent))
    return PictureSet(torch.cat(pixels), [])


@torch.inference_mode()
def pixels_of(model: LatentDiffusion, latent: Tensor) -> Tensor:
    """uint8 (B, 3, S, S) of normalised latents (B, C, h, w)."""
    return torch.from_numpy(to_bytes(model.codec.decode(latent))).permute(0, 3, 1, 2)
