"""Training that begins with a checkpoint that there is: its weights, or what it predicts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from ddpm_core import checkpoint
from ddpm_core.checkpoint import CheckpointError
from ddpm_core.guidance import autoguided
from ddpm_core.inference import ready


def start_from(weights: Path, model: nn.Module) -> None:
    """Fill a model that is to be trained with the weights in a file. Raises `CheckpointError`."""
    checkpoint.read_weights(weights, model, next(model.parameters()).device).train().requires_grad_(True)


def guided_output(folder: Path | None, device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    """The raw output (B, C, h, w) of a checkpoint's denoiser and its guide together, for latents and timesteps.

    What a network learns from it, it needs no guide for any more (Meng et al. 2023, "On Distillation of Guided
    Diffusion Models", section 3.1, for one scale).

    Raises:
        CheckpointError: there is no guide, or the two put out different things.
    """
    guide = checkpoint.load_guide(folder, device) if folder else None
    if folder is None or guide is None:
        raise CheckpointError(
            "What a denoiser predicts with its guide is learned from one that has a guide; name it with --init."
        )
    denoiser = checkpoint.load_denoiser(folder, device)
    if denoiser.prediction != guide.prediction:
        raise CheckpointError(
            f"In {folder} denoiser and guide differ in their prediction type, so nobody can learn from both."
        )
    # Every prediction type is a straight line of the noise, so what is guided is the same in all of them.
    guided = autoguided(ready(denoiser, device), ready(guide, device), checkpoint.read_config(folder).guidance)
    return torch.no_grad()(guided)
