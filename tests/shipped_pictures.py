"""The shipped checkpoints, and pictures of their classes."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from ddpm_core.diffusion.samplers import last
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest

CHECKPOINTS = Path(__file__).resolve().parents[1] / "checkpoints"


def made(model: LatentDiffusion, label: str, count: int, steps: int) -> Tensor:
    """Pictures of a class, (count, 3, S, S) in 0 (black) to 1."""
    request = GenerateRequest(count=count, steps=steps, label=label)
    return (model.codec.decode(last(model.generate(request)).latent).clamp(-1, 1) + 1) / 2
