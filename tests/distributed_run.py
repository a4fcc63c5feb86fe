"""What each of two processes does in `test_distributed`: stages run whole, broken, in parts, and with one bad step.

Started by `torch.distributed.run`, in a process of its own each: `python -m tests.distributed_run FOLDER`.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn

from ddpm_core.data.load import PictureSet
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.networks.unet import UNet
from ddpm_core.training.distributed import ALONE, World, launched, process_group
from ddpm_core.training.loop import Trainer
from ddpm_core.training.losses import denoiser_loss
from ddpm_core.training.pictures import Pictures
from ddpm_core.training.settings import StageName, StageSettings, TrainRequest
from ddpm_core.training.shards import MicroBatch
from ddpm_core.training.stages import run as stages
from ddpm_core.training.stages.run import run_stage
from ddpm_core.training.timesteps import LossAwareSampler
from tests.runs import leave_undrawn

STEPS = 4
BAD = 2  # the step that is not finite in one process


def request_for(out: Path, **changes: Any) -> TrainRequest:
    """A run small enough for a test, with everything random in it but dropout."""
    common = {"iterations": STEPS, "batch_size": 4, "warmup": 2, "accumulate": 2}
    denoiser = {"channels": (32, 32), "blocks": 1, "dropout": 0.0, "clamp_share": 0.5, "learning_rate": 1e-3}
    values: dict[str, Any] = {
        "data": "pictures",
        "out": out,
        "size": 16,
        "precision": "fp32",
        "device": "cpu",
        "sample_every": 3,
        "vae": common | {"channels": (16, 16), "full_width": 8, "decoder_blocks": 1},
        "denoiser": common | denoiser,
    }
    return TrainRequest.model_validate(values | changes)


def some_pictures() -> Pictures:
    """Ten blurred pictures of noise, two of them held out."""
    small = torch.rand(12, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    pixels = (nn.functional.interpolate(small, size=(16, 16), mode="bilinear") * 255).to(torch.uint8)
    return Pictures(PictureSet(pixels[:10], []), PictureSet(pixels[10:], []), 10)


def run(request: TrainRequest, world: World = ALONE, until: int | None = None, stage: StageName | None = None) -> None:
    """Run both stages, or one; close the last after step `until`."""
    stages_to_run: tuple[StageName, ...] = (stage,) if stage else ("vae", "denoiser")
    for each in stages_to_run:
        updates = run_stage(each, request, some_pictures(), world)
        for update in updates:
            if each == stages_to_run[-1] and update.step.step == until:
                break
        updates.close()


def one_bad_step(world: World) -> dict[str, Any]:
    """Train a line on numbers that are not finite once, in the last process alone."""
    torch.manual_seed(0)
    settings = StageSettings(iterations=STEPS, warmup=0, learning_rate=0.1, batch_size=4)
    trainer = Trainer(nn.Linear(3, 1), settings, "fp32", world=world)

    def loss(model: nn.Module, micro_batch: MicroBatch) -> dict[str, Tensor]:
        bad = micro_batch.number == BAD and world.rank == world.size - 1
        return {"loss": model(micro_batch.take(torch.randn(4, 3))).square().mean() * (math.nan if bad else 1)}

    skipped = [step.skipped for step in trainer.train(loss)]
    return {"skipped": skipped, "weights": [p.flatten().tolist() for p in trainer.model.parameters()]}


def random_draws(world: World) -> dict[str, Any]:
    """Random numbers of every process: the batch's, dropout's, the batch's again."""
    torch.manual_seed(5)
    before = torch.rand(3).tolist()
    with world.fork_rng():
        own = torch.rand(3).tolist()
    return {"before": before, "own": own, "after": torch.rand(3).tolist()}


def history_weights(world: World) -> list[float]:
    """The weights of all timesteps under a history that was told, by batches drawn by it, what they lost."""
    torch.manual_seed(6)
    history, unet = LossAwareSampler(7, bins=3, history_length=2), UNet(channels=(32,), blocks=1, dropout=0.0)
    for _ in range(5):
        clean = torch.randn(8, 4, 4, 4)
        denoiser_loss(unet, clean, Diffuser(7), "importance", 0.5, shard=world, timestep_sampler=history)
        history.commit(world.gather)
    return history.weights(torch.arange(1, 7)).tolist()


def main(folder: Path) -> None:
    world = launched()
    leave_undrawn(pytest.MonkeyPatch())
    with process_group(world, torch.device("cpu")):
        run(request_for(folder / "whole"), world)
        run(request_for(folder / "broken"), world, until=2)
        run(request_for(folder / "broken", resume=True), world, stage="denoiser")
        with patch.object(stages, "fit", lambda trainer, loss: trainer.divide()):
            run(request_for(folder / "divided"), world)
        report = {"bad": one_bad_step(world), "random": random_draws(world), "remembered": history_weights(world)}
        (folder / f"{world.rank}.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
