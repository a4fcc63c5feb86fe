"""What `run_stage` asks of a stage, and what stages do alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from PIL import Image
from torch import Tensor, nn

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import write_atomically
from ddpm_core.checkpoints.native import CheckpointConfig
from ddpm_core.diffusion.samplers import Step
from ddpm_core.images.animation import evenly
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.training.distillation import inherited_defaults
from ddpm_core.training.record import plots
from ddpm_core.training.record.journal import SAMPLES_BY_TIMESTEP
from ddpm_core.training.settings import StageName, TrainRequest
from ddpm_core.training.shards import LossState, MicroBatch

FOLLOWED, MOMENTS = 4, 8  # seeds that are shown on their way from noise, and at how many timesteps


class Stage(Protocol):
    """A training: its model, its loss, its measures, its files."""

    @property
    def model(self) -> nn.Module: ...

    @property
    def notes(self) -> list[str]:
        """Sentences on what is taken over from another checkpoint, and what cannot be."""

    @property
    def basis(self) -> dict[str, str]:
        """What it learns from, in words, so that a resumed run can tell whether that changed."""

    @property
    def loss_state(self) -> LossState | None:
        """What `loss` remembers from step to step, in buffers; None if nothing."""

    def loss(self, model: Any, micro_batch: MicroBatch) -> dict[str, Tensor]:
        """Loss terms of `model` on the pictures of `micro_batch`; "loss" is minimised."""

    def evaluate(self, model: Any, grid: Path) -> dict[str, float]:
        """Write a picture that shows how well `model` does to `grid`; returns measures on held-out pictures."""

    def export(self, model: Any, finished: int | None) -> None:
        """Write config and weights of `model` (`write_checkpoint`); `finished` is the number of the last step."""


def save_grid(sheet: Image.Image, path: Path) -> None:
    write_atomically(path, lambda partial: sheet.save(partial, format="PNG"))


def save_moments(steps: Sequence[Step], model: LatentDiffusion, notes: Path) -> None:
    """Draw what a sampler's run took its first seeds for on the way from noise into the record of a run."""
    left = [model.diffuser.num_timesteps - 1, *(step.t for step in steps[:-1])]  # the timestep that each step left
    chosen = evenly(len(steps), MOMENTS)
    moments = [(left[index], model.pictures(steps[index].denoised[:FOLLOWED])) for index in chosen]
    plots.save(plots.samples_by_timestep(moments), notes / SAMPLES_BY_TIMESTEP)


def weights_file(out: Path, stage: StageName) -> Path:
    return out / f"{stage}.safetensors"


def write_checkpoint(
    request: TrainRequest, stage: StageName, model: nn.Module, finished: int | None, **parts: Any
) -> None:
    """Write config, see `record`, and weights of what a stage learned: the one place where a run does.

    In this order: killed in between, there is a config without weights, which nobody takes for a checkpoint.
    """
    record(request, stage, **parts)
    checkpoint.write_weights(weights_file(request.out, stage), model, finished)


def record(request: TrainRequest, stage: StageName, **parts: Any) -> None:
    """Bring `config.json` up to date with what a stage built and its settings. Raises `ValidationError` if `parts` are
    wrong.
    """
    path, start = request.out / checkpoint.CONFIG, request.init
    config = checkpoint.read_config(request.out) if path.exists() else CheckpointConfig(size=request.size)
    fresh = not config.denoiser and not config.defaults  # what a person changed later stays
    if fresh and start and (start / checkpoint.CONFIG).exists():
        config = config.model_copy(update={"defaults": inherited_defaults(checkpoint.read_config(start))})
    names = {"data": request.data.resolve().name} | ({"init": request.init.resolve().name} if request.init else {})
    training = config.training | {stage: names | request.recorded(stage)}
    of_data: dict[str, Any] = {"about": request.about or config.about}
    of_data["framing"] = config.framing if request.framing == "auto" else request.framing
    said = dict(config) | parts | of_data | {"training": training}
    checkpoint.write_config(request.out, CheckpointConfig.model_validate(said))  # a copy would not be checked
