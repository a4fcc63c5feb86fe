"""A small denoiser, from whose mistakes a checkpoint's own is steered away (autoguidance)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import torch
from pydantic import ValidationError

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.checkpoints.native import CheckpointConfig
from ddpm_core.diffusion.samplers import last
from ddpm_core.errors import complaint
from ddpm_core.images.files import contact_sheet
from ddpm_core.networks.unet import Denoiser
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest
from ddpm_core.training.distributed import ALONE, World
from ddpm_core.training.initialization import GUIDING, take_checkpoint
from ddpm_core.training.pictures import Pictures
from ddpm_core.training.settings import OPTIMISER, DenoiserSettings, TrainRequest
from ddpm_core.training.stages.denoiser import DenoiserStage, built_as
from ddpm_core.training.stages.stage import record, save_grid, weights_file

SHOWN = 8  # pictures in each row of a sample grid


@dataclass
class GuideStage(DenoiserStage):
    """Trains a guide on the latents of a checkpoint's codec; its `request` has `denoiser_settings`."""

    recorded: TrainRequest | None = None  # the request as it was

    @classmethod
    def prepare(cls, request: TrainRequest, pictures: Pictures, world: World = ALONE) -> Self:
        """The stage for the checkpoint in `request.out`, or a copy there of that of --init.

        A guide knows neither classes nor words. Raises `CheckpointError` if there is no checkpoint, or it does not fit.
        """
        config, notes = take_checkpoint(request, "guide", world)
        settings = denoiser_settings(request, config)
        plain = replace(pictures, classes=(), words=(), train=replace(pictures.train, labels=None, captions=None))
        if pictures.held_out is not None:
            plain = replace(plain, held_out=replace(pictures.held_out, labels=None, captions=None))
        stage = super().prepare(request.model_copy(update={"denoiser": settings, "init": None}), plain, world)
        return replace(stage, recorded=request, notes=notes)

    @torch.inference_mode()
    def evaluate(self, unet: Denoiser, grid: Path) -> dict[str, float]:
        """A row of the checkpoint's samples without and one with this guide, as a picture; its held-out loss."""
        rows, parts = [], checkpoint.load_parts(self.request.out, self.device)
        for steering in ({}, self.request.guide.steering):
            # A guide that was there before may have left a way of steering, which is none of the row without.
            guided = GUIDING["guide"] | steering | {"guide": unet}
            model = LatentDiffusion(**vars(parts) | guided)
            label, shown = None if model.unconditional else model.classes[0], self.held_out or self.train
            asked = GenerateRequest(count=SHOWN, steps=10, guidance=1, label=label)
            if (given := self.condition(shown, slice(SHOWN))) is not None:  # as many as there are
                model, asked = model.with_condition(given), asked.model_copy(update={"count": len(given)})
            rows.append(last(model.generate(asked)).latent)
        save_grid(contact_sheet(self.codec.decode(torch.cat(rows)), len(rows[0])), grid)
        return {} if self.held_out is None else {"held_out_loss": self.held_out_loss(unet, self.held_out)}

    def export(self, unet: Denoiser, finished: int | None) -> None:
        """Write weights, then config: killed in between, a checkpoint without a guide is what it was."""
        checkpoint.write_weights(weights_file(self.request.out, "guide"), unet, finished)
        shape = built_as(self.request.denoiser, self.codec, classes=0, words=0)
        record(self.recorded or self.request, "guide", guide=shape, **self.request.guide.steering)


def denoiser_settings(request: TrainRequest, config: CheckpointConfig) -> DenoiserSettings:
    """How a guide learns: as the denoiser would, but for the guide's size and optimiser.

    Raises `CheckpointError` without a denoiser.
    """
    own = {name: getattr(request.guide, name) for name in (*request.guide.SHAPE, *OPTIMISER)}
    schedule = config.diffuser.get("schedule", DenoiserSettings().schedule)
    values = (
        dict(request.denoiser)
        | own
        | {"backbone": config.backbone, "schedule": schedule, "learns": "data", "segments": 1}
    )
    if config.conditioning:
        values |= {"enlarges": config.conditioning.factor, "conditioning_noise": config.conditioning.noise}
    try:
        return DenoiserSettings.model_validate(values)
    except ValidationError as error:
        raise CheckpointError(f"There can be no such guide: {complaint(error)}") from None
