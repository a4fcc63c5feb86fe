"""The stage that trains a weaker denoiser to guide a checkpoint that is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.data.load import PictureSet
from ddpm_core.diffusion.samplers import last
from ddpm_core.networks.unet import UNet
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest
from ddpm_core.training.pictures import Pictures
from ddpm_core.training.record.card import card
from ddpm_core.training.record.journal import rows_of
from ddpm_core.training.settings import TrainRequest
from ddpm_core.training.stages.guide import GuideStage
from tests.conftest import write_class_checkpoint
from tests.training.small_runs import run_all

LEARNS = {
    "iterations": 6,
    "batch_size": 4,
    "warmup": 2,
    "channels": (16, 16),
    "scale": 2.0,
    "first": 100,
    "last": 900,
    "low_scale": 1.0,
}


@pytest.fixture
def pictures() -> Pictures:
    """Noise, some of it held out, of two classes that a guide passes over."""
    pixels, labels = torch.randint(0, 256, (12, 3, 32, 32), dtype=torch.uint8), torch.arange(12) % 2
    sets = (PictureSet(pixels[some], [], labels[some]) for some in (slice(8), slice(8, 12)))
    return Pictures(*sets, 8, ("one", "two"))


def request_for(out: Path, **changes: Any) -> TrainRequest:
    common: dict[str, Any] = {"stage": "guide", "size": 32, "precision": "fp32", "device": "cpu", "flips": False}
    values = {"data": "nowhere/noise", "out": out, "guide": LEARNS, "sample_every": 3, "save_every": 3}
    return TrainRequest.model_validate(common | values | changes)


def test_a_checkpoint_is_steered_away_from_what_was_trained_and_else_stays_what_it_was(
    own_checkpoint: Path, tmp_path: Path, pictures: Pictures
) -> None:
    out = tmp_path / "guided"
    run_all("guide", request_for(out, init=own_checkpoint), pictures, until=4)
    taken = run_all("guide", request_for(out, init=own_checkpoint, resume=True), pictures)
    assert taken == [5, 6]
    rows = [row for row in rows_of(out / "training" / "guide.jsonl") if "held_out_loss" in row]
    assert [row["step"] for row in rows] == [3, 6]
    assert (out / "training" / "guide-000006.png").exists()

    before, model = LatentDiffusion.load(own_checkpoint, "cpu"), LatentDiffusion.load(out, "cpu")
    assert model.guide is not None
    assert (model.guidance, model.guidance_interval, model.guidance_low) == (2, (100, 900), 1)
    assert sum(one.numel() for one in model.guide.parameters()) < sum(
        one.numel() for one in model.denoiser.parameters()
    )
    for name in ("vae.safetensors", "denoiser.safetensors"):
        assert (out / name).read_bytes() == (own_checkpoint / name).read_bytes()
    one, other = (last(each.generate(GenerateRequest(steps=4))).latent for each in (before, model))
    assert not torch.equal(one, other)
    text = card(out, "")
    assert "`guide.safetensors`" in text
    assert "--stage guide" in text
    assert "--guide-scale 2.0" in text


def test_samples_without_and_with_a_guide_know_nothing_of_how_a_former_one_steered(
    own_checkpoint: Path, tmp_path: Path, pictures: Pictures
) -> None:
    stage = GuideStage.prepare(request_for(own_checkpoint), pictures)
    stage.evaluate(stage.model, tmp_path / "before.png")
    config = checkpoint.read_config(own_checkpoint)
    checkpoint.write_config(own_checkpoint, config.model_copy(update={"guidance": 3.0, "guidance_low": 5.0}))
    stage.evaluate(stage.model, tmp_path / "after.png")
    assert (tmp_path / "before.png").read_bytes() == (tmp_path / "after.png").read_bytes()


def test_a_checkpoint_with_classes_has_a_guide_that_knows_none_and_a_new_one_replaces_it(
    tmp_path: Path, pictures: Pictures
) -> None:
    out, again = write_class_checkpoint(tmp_path / "plain"), tmp_path / "again"
    run_all("guide", request_for(out, codec="pixel"), pictures)
    guide = checkpoint.load_guide(out)
    assert guide is not None
    assert guide.classes == 0
    run_all("guide", request_for(again, codec="pixel", init=out, guide=LEARNS | {"scale": 3}), pictures, until=3)
    assert checkpoint.read_config(again).guidance == 3


def test_what_is_not_made_anew_comes_along_and_what_is_made_anew_does_not(
    own_checkpoint: Path, tmp_path: Path, pictures: Pictures
) -> None:
    config = checkpoint.read_config(own_checkpoint)
    checkpoint.write_weights(own_checkpoint / checkpoint.GUIDE_WEIGHTS, UNet(**config.denoiser))
    checkpoint.write_config(own_checkpoint, config.model_copy(update={"guide": config.denoiser, "guidance": 4.0}))
    GuideStage.prepare(request_for(tmp_path / "copy", init=own_checkpoint), pictures)
    copy = LatentDiffusion.load(tmp_path / "copy", "cpu")  # until the new guide is there, it has none
    assert (copy.guide, copy.guidance) == (None, 1)


def test_what_cannot_be_guided_is_refused(tmp_path: Path, own_checkpoint: Path, pictures: Pictures) -> None:
    with pytest.raises(CheckpointError, match="holds no checkpoint to guide; train one there first"):
        GuideStage.prepare(request_for(tmp_path / "nothing"), pictures)
    with pytest.raises(CheckpointError, match="choose --size 32"):
        GuideStage.prepare(request_for(own_checkpoint, size=16), pictures)
    checkpoint.write_config(
        own_checkpoint, checkpoint.read_config(own_checkpoint).model_copy(update={"backbone": "dit"})
    )
    with pytest.raises(CheckpointError, match="no such guide: channels of a transformer are one number"):
        GuideStage.prepare(request_for(own_checkpoint), pictures)
    for odd in ({"first": 3}, {"first": 5, "last": 3}):
        with pytest.raises(ValidationError, match="a first timestep and a last, which is not below it"):
            request_for(own_checkpoint, guide=odd)
