"""A denoiser that learns to make its teacher's pictures in few steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.networks.unet import Denoiser
from ddpm_core.training.distillation import (
    Teacher,
    consistency_loss,
    few_step_defaults,
    intervals_at,
    teacher_of,
    teaching,
)
from ddpm_core.training.distributed import ALONE, World
from ddpm_core.training.losses import NoisyExamples, noisy_examples
from ddpm_core.training.pictures import Pictures
from ddpm_core.training.settings import TrainRequest
from ddpm_core.training.shards import WHOLE, MicroBatch, Shard
from ddpm_core.training.stages.denoiser import HELD_OUT_BATCHES, DenoiserStage, words_read
from ddpm_core.training.stages.latents import LatentSet


@dataclass
class DistillationStage(DenoiserStage):
    """Trains a student on the latents of its teacher's codec; `prepare` makes one from a request."""

    predicts: Teacher | None = None

    @classmethod
    def prepare(cls, request: TrainRequest, pictures: Pictures, world: World = ALONE) -> Self:
        """As the denoiser's, from the weights of --init, which is the teacher. Raises `CheckpointError` without one."""
        folder = teaching(request, pictures.classes, words_read(request, pictures))
        stage = super().prepare(request, pictures, world)
        defaults = few_step_defaults(checkpoint.read_config(folder), request.denoiser)
        return replace(stage, predicts=teacher_of(folder, stage.device), defaults=defaults)

    def loss(self, model: Denoiser, micro_batch: MicroBatch) -> dict[str, Tensor]:
        settings = self.request.denoiser
        index, clean, label = self.batch(self.train, micro_batch)
        examples = noisy_examples(
            clean, self.diffuser, settings.timesteps, settings.clamp_share, micro_batch,
            clamp_timesteps=settings.clamp_timesteps, clamp_middle=settings.clamp_middle,
            recoloured=self.recoloured(index), clamp_recolour=settings.clamp_recolour,
        )  # fmt: skip
        progress = min(1.0, micro_batch.number / (settings.iterations * settings.accumulate))
        return self.consistency(
            model, examples, intervals_at(progress), label, self.tokens(self.train, index, label), micro_batch
        )

    def consistency(
        self,
        model: Denoiser,
        examples: NoisyExamples,
        intervals: int,
        label: Tensor | None,
        tokens: Tensor | None,
        shard: Shard = WHOLE,
    ) -> dict[str, Tensor]:
        """`consistency_loss` of a shard's examples; classes (B,) and captions (B, L) are those of the whole batch."""
        assert self.predicts is not None
        label, tokens = (None if each is None else shard.take(each) for each in (label, tokens))
        segments = self.request.denoiser.segments
        return consistency_loss(
            model, examples, self.predicts, self.diffuser, intervals, segments, label, tokens, shard
        )

    @torch.inference_mode()
    def evaluate(self, unet: Denoiser, grid: Path) -> dict[str, float]:
        """Samples of fixed seeds in few steps as a picture; the loss on held-out latents."""
        self.show(unet, grid)
        return {} if self.held_out is None else {"held_out_loss": self.held_out_loss(unet, self.held_out)}

    def held_out_loss(self, unet: Denoiser, held_out: LatentSet) -> float:
        """The loss on latents with fixed noise, by as many of the teacher's steps as at the end of a run."""
        torch.manual_seed(0)
        settings, losses = self.request.denoiser, []
        for number in range(HELD_OUT_BATCHES):
            index, clean, label = self.batch(held_out, MicroBatch(number=number, batch_size=settings.batch_size))
            tokens = self.tokens(held_out, index, label)
            examples = noisy_examples(clean, self.diffuser, settings.timesteps, settings.clamp_share)
            losses.append(self.consistency(unet, examples, intervals_at(1), label, tokens)["loss"].item())
        return sum(losses) / len(losses)
