"""Pipelines that diffusers saved: written, read by us, run by either, spoilt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    DDIMPipeline,
)
from torch import Tensor

from ddpm_core.checkpoints import diffusers_format
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.diffusion.samplers import last
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest
from tests.tiny_pipelines import SIDE, ddim, unet

CLOSE = {"rtol": 0, "atol": 3e-4}  # theirs counts betas in fp32; levels of a picture lie 8e-3 apart


def saved(pipeline: Any, folder: Path, **index: Any) -> LatentDiffusion:
    """The pipeline written, with more in its list of parts, and read by us."""
    pipeline.save_pretrained(folder)
    path = folder / diffusers_format.PIPELINE
    path.write_text(json.dumps(json.loads(path.read_text()) | index))
    return LatentDiffusion.load(folder, "cpu")


def theirs(pipeline: Any, seed: int, steps: int = 5, **choices: Any) -> Tensor:
    """What diffusers makes from a seed, (1, 3, H, W) in [-1, 1]."""
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(seed)
    made = pipeline(generator=generator, num_inference_steps=steps, output_type="np", **choices).images
    return torch.from_numpy(made).permute(0, 3, 1, 2) * 2 - 1


def ours(model: LatentDiffusion, **request: Any) -> Tensor:
    """What we make, by DDIM if nothing else is said, (B, 3, H, W) in [-1, 1]."""
    with torch.inference_mode():
        return model.codec.decode(last(model.generate(GenerateRequest(**{"sampler": "ddim"} | request))).latent).clamp(
            -1, 1
        )


def conditional(folder: Path, **index: Any) -> tuple[DDIMPipeline, LatentDiffusion]:
    """A pipeline whose network has four numbers for classes."""
    pipeline = DDIMPipeline(unet(num_class_embeds=4), ddim(prediction_type="v_prediction"))
    return pipeline, saved(pipeline, folder, **index)


def stepped(pipeline: Any, seed: int, label: int, guidance: float = 1, none: int = 3) -> Tensor:
    """Their loop with classes, for which they have no pipeline: pixels or latents (1, C, 16, 16)."""
    shape = (1, pipeline.unet.config.in_channels, SIDE, SIDE)
    image = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    pipeline.scheduler.set_timesteps(5)
    with torch.inference_mode():
        for t in pipeline.scheduler.timesteps:
            conditional, unconditional = (
                pipeline.unet(image, t, torch.tensor([number])).sample for number in (label, none)
            )
            image = pipeline.scheduler.step(
                unconditional + guidance * (conditional - unconditional), t, image
            ).prev_sample
    return image


def refusal(folder: Path) -> str:
    """What loading the folder says; it has to be one sentence."""
    with pytest.raises(CheckpointError) as caught:
        LatentDiffusion.load(folder, "cpu")
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert len(sentence) < 600
    return sentence


def rewrite(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def flattened(folder: Path) -> Path:
    """The folder as the DDPMs that were published first have it: UNet and scheduler beside the list of parts."""
    for part in ("unet", "scheduler"):
        for file in (folder / part).iterdir():
            file.rename(folder / file.name)
        (folder / part).rmdir()
    return folder
