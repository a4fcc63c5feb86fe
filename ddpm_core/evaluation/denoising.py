"""The loss that a denoiser was trained on, on held-out pictures."""

from __future__ import annotations

from functools import partial

import torch

from ddpm_core.data.find import DataSet
from ddpm_core.data.load import load_pictures
from ddpm_core.display.progress_bar import batches_watched, watched
from ddpm_core.evaluation.samples import BATCH
from ddpm_core.images.low_resolution import low_resolution
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.training.losses import loss_by_decile

PICTURES = 1024  # at most; about as many as training looks at


@torch.inference_mode()
def measure_denoising(model: LatentDiffusion, found: DataSet) -> dict[str, list[float] | None]:
    """The denoiser's loss by tenth of the timesteps, cleanest first; None without held-out pictures.

    Without its guide, but with classes and captions. Comparable among denoisers of the same latents and prediction
    type.
    """
    files = found.sources["val"]
    if not files:
        return {"denoising_loss": None}
    some = slice(None, None, -(-len(files) // PICTURES))
    captions = found.captions["val"][some] if found.captions and model.vocabulary else None
    labels = found.labels["val"][some] if found.classes else None
    pictures = load_pictures(files[some], model.size, labels=labels, captions=captions)
    batches = batches_watched(pictures.batches(BATCH), len(pictures), BATCH, "encoding")
    latents = [model.codec.encode(image.to(model.device)) for image in batches]  # (B, C, h, w) each
    label = None if pictures.labels is None else pictures.labels.to(model.device)
    condition = None
    if model.conditioning is not None:
        lower = (low_resolution(image, model.conditioning.factor) for image in pictures.batches(BATCH))
        condition = torch.cat([model.codec.encode(image.to(model.device)) for image in lower])  # (N, C, h, w)
    tokens = None
    if model.vocabulary and pictures.captions:
        tokens = model.vocabulary.tokens(pictures.captions).to(model.device)
    watch = partial(watched, doing="denoising", unit="tenth")
    losses = loss_by_decile(model.denoiser, torch.cat(latents), model.diffuser, BATCH, label, tokens, condition, watch)
    return {"denoising_loss": losses}
