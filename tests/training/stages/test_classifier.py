"""The stage that trains a classifier to guide by, for a checkpoint that is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.data.load import PictureSet
from ddpm_core.diffusion.samplers import last
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest
from ddpm_core.training.pictures import Pictures
from ddpm_core.training.record.card import card
from ddpm_core.training.record.journal import rows_of
from ddpm_core.training.settings import TrainRequest
from ddpm_core.training.shards import MicroBatch
from ddpm_core.training.stages.classifier import ClassifierStage
from tests.conftest import write_class_checkpoint
from tests.training.small_runs import run_all

CLASSES = ("1", "ant", "bee")
LEARNS = {"iterations": 40, "batch_size": 8, "warmup": 5, "channels": (16,), "learning_rate": 1e-2, "ema_decay": 0.5}


@pytest.fixture
def shades() -> Pictures:
    """Dark, grey and light pictures, of a class each, some of them held out."""
    labels = torch.arange(24) % 3
    pixels = (30 + 90 * labels)[:, None, None, None].expand(-1, 3, 32, 32) + torch.randint(0, 20, (24, 3, 32, 32))
    pixels = pixels.to(torch.uint8)
    train, held_out = PictureSet(pixels[:18], [], labels[:18]), PictureSet(pixels[18:], [], labels[18:])
    return Pictures(train, held_out, 18, CLASSES)


def request_for(out: Path, **changes: Any) -> TrainRequest:
    common: dict[str, Any] = {"stage": "classifier", "size": 32, "codec": "pixel", "precision": "fp32", "device": "cpu"}
    values = {"data": "nowhere/shades", "out": out, "classifier": LEARNS, "sample_every": 40, "flips": False}
    return TrainRequest.model_validate(common | values | changes)


def test_it_learns_to_read_noisy_latents_and_the_checkpoint_is_guided_by_it(tmp_path: Path, shades: Pictures) -> None:
    plain = write_class_checkpoint(tmp_path / "plain")
    assert tuple(checkpoint.read_config(plain).classes) == CLASSES
    out = tmp_path / "guided"
    run_all("classifier", request_for(out, init=plain), shades)
    rows = [row for row in rows_of(out / "training" / "classifier.jsonl") if "held_out_accuracy" in row]
    assert rows[-1]["held_out_accuracy"] > 0.6  # of all timesteps, and at the last nobody can tell
    assert rows[-1]["held_out_accuracy_0"] == 1
    assert (out / "training" / "classifier-000040.png").exists()

    model = LatentDiffusion.load(out, "cpu")
    request = GenerateRequest(seed=3, count=2, steps=4, sampler="ddpm", guidance=0, label="bee", classifier_guidance=8)
    means = [last(model.generate(request.model_copy(update={"label": label}))).latent.mean() for label in CLASSES]
    assert means[0] < means[1] < means[2]  # dark, grey and light
    unguided = request.model_copy(update={"classifier_guidance": 0})
    ours, before = (last(one.generate(unguided)).latent for one in (model, LatentDiffusion.load(plain, "cpu")))
    assert torch.equal(ours, before)
    text = card(out, "")
    assert "`classifier.safetensors`" in text
    assert "--stage classifier" in text


def test_a_checkpoint_that_has_one_is_copied_without_it(tmp_path: Path, shades: Pictures) -> None:
    first, second = write_class_checkpoint(tmp_path / "first"), tmp_path / "second"
    few = {"classifier": LEARNS | {"iterations": 1}, "sample_every": 1}
    run_all("classifier", request_for(first, **few), shades)
    assert run_all("classifier", request_for(second, init=first, **few), shades) == [1]


def test_shards_of_a_batch_are_the_batch(tmp_path: Path, shades: Pictures) -> None:
    out = write_class_checkpoint(tmp_path / "own")
    labels = shades.train.labels
    assert labels is not None
    labels[4] = 3  # whose class nobody knows: it counts in no shard
    stage = ClassifierStage.prepare(request_for(out), shades)
    torch.nn.init.normal_(stage.model.scores.weight)
    stage.model.eval()

    def losses(size: int) -> float:
        found = []
        for rank in range(size):
            torch.manual_seed(0)
            found.append(stage.loss(stage.model, MicroBatch(rank, size, number=0, batch_size=8))["loss"])
        return torch.stack(found).mean().item()

    assert losses(1) == pytest.approx(losses(2), rel=1e-5)


def test_what_cannot_be_guided_is_refused(tmp_path: Path, own_checkpoint: Path, shades: Pictures) -> None:
    with pytest.raises(CheckpointError, match="holds no checkpoint to guide; train one there first"):
        ClassifierStage.prepare(request_for(tmp_path / "nothing"), shades)
    with pytest.raises(CheckpointError, match="has no classes"):
        ClassifierStage.prepare(request_for(own_checkpoint, codec="vae"), shades)
    out = write_class_checkpoint(tmp_path / "own")
    with pytest.raises(CheckpointError, match="choose --size 32"):
        ClassifierStage.prepare(request_for(out, size=16), shades)
    with pytest.raises(CheckpointError, match="other classes"):
        ClassifierStage.prepare(request_for(out), Pictures(shades.train, None, 18, ("1", "ant", "dog")))
