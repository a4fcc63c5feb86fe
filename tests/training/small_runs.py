"""Stages small enough for a test, taken step by step, and a network that answers as it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.training.pictures import Pictures
from ddpm_core.training.settings import StageName, TrainRequest
from ddpm_core.training.stages.run import run_stage


def request_for(out: Path, **changes: Any) -> TrainRequest:
    common = {"iterations": 6, "batch_size": 3, "warmup": 2}
    values = {
        "data": "nowhere/pictures",
        "out": out,
        "size": 16,
        "precision": "fp32",
        "device": "cpu",
        "vae": common | {"channels": (16, 16), "full_width": 8, "decoder_blocks": 1},
        "denoiser": common | {"channels": (32, 32), "blocks": 1, "learning_rate": 1e-2},
    }
    return TrainRequest.model_validate(values | changes)


def settings_with(request: TrainRequest, **changes: Any) -> TrainRequest:
    """The request with some settings of the denoiser changed."""
    return request.model_copy(update={"denoiser": request.denoiser.model_copy(update=changes)})


def run_all(stage: StageName, request: TrainRequest, pictures: Pictures, until: int | None = None) -> list[int]:
    """Run a stage, or close it after step `until`; the steps it took."""
    taken, updates = [], run_stage(stage, request, pictures)
    for update in updates:
        taken.append(update.step.step)
        if update.step.step == until:
            break
    updates.close()
    return taken


def copy_vae(source: Path, out: Path) -> None:
    out.mkdir(parents=True)
    for name in (checkpoint.CONFIG, checkpoint.CODEC_WEIGHTS):
        (out / name).write_bytes((source / name).read_bytes())


class Answer:
    """A network whose output is a function of what it is shown."""

    def __init__(self, prediction: str, answer) -> None:
        self.prediction, self.answer = prediction, answer
        self.shown: list[tuple[Tensor, Tensor]] = []

    def __call__(self, noisy: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        self.shown.append((noisy, t))
        return self.answer(noisy, t)
