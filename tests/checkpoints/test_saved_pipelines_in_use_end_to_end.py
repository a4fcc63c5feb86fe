"""What can be done with any checkpoint can be done with a folder that diffusers saved."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import (
    DDPMPipeline,
    DDPMScheduler,
    LDMPipeline,
)
from PIL import Image

from ddpm_core.checkpoints import folders
from ddpm_core.commands import edit, evaluate, sample
from ddpm_core.diffusion.samplers import last
from ddpm_core.evaluation import checkpoint as measuring
from ddpm_core.evaluation.classifier import Classifier
from ddpm_core.images.files import read_parameters
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import EditRequest, InpaintRequest
from tests.checkpoints.saved_pipelines import (
    conditional,
)
from tests.command_lines import assert_refused
from tests.tiny_pipelines import SIDE, STATES, autoencoder, ddim, unet

pytestmark = pytest.mark.usefixtures("in_full_precision")


@pytest.fixture(params=["pixels", "grey pixels", "latents"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A pipeline of each kind, on disk."""
    networks = {
        "pixels": lambda: DDPMPipeline(unet(), DDPMScheduler(num_train_timesteps=STATES)),
        "grey pixels": lambda: DDPMPipeline(unet(1), DDPMScheduler(num_train_timesteps=STATES)),
        "latents": lambda: LDMPipeline(autoencoder(), unet(2), ddim()),
    }
    networks[request.param]().save_pretrained(tmp_path / "shelf" / "theirs")
    return tmp_path / "shelf" / "theirs"


def test_inpainting_keeps_every_unpainted_bit(folder: Path) -> None:
    model = LatentDiffusion.load(folder, "cpu")
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    painted = np.zeros((50, 70), dtype=bool)
    painted[15:35, 20:50] = True
    request = InpaintRequest(steps=3)
    frame = model.frame(request, Image.fromarray(pixels), painted)
    result = np.asarray(
        frame.paste(model.pictures(last(model.inpaint(request, frame.image(), frame.mask())).latent)[0])
    )
    assert np.array_equal(result[~painted], pixels[~painted])
    assert (result[painted] != pixels[painted]).any(1).mean() > 0.9


def test_editing_stays_the_closer_to_a_picture_the_weaker_it_is(folder: Path) -> None:
    model = LatentDiffusion.load(folder, "cpu")
    image = torch.rand(1, 3, model.size, model.size) * 2 - 1
    anchor = model.codec.encode(image)
    weak, strong = (
        (last(model.edit(EditRequest(steps=20, strength=strength), image)).latent - anchor).square().mean()
        for strength in (0.05, 1)
    )
    assert weak < 0.2 * strong


def test_commands_take_a_folder_of_theirs_as_any_checkpoint(
    call, folder: Path, picture_folder: Path, tmp_path: Path
) -> None:
    assert folders.list_checkpoints(folder.parent) == ["theirs"]
    common = ["--checkpoint", folder, "--steps", 2]
    assert call(sample.main, *common, "--out", tmp_path / "made").status == 0
    assert read_parameters(tmp_path / "made" / "0.png")["checkpoint"] == "theirs"
    photo = next(picture_folder.iterdir())
    assert call(edit.main, photo, *common, "--out", tmp_path / "edited.png").status == 0
    report = tmp_path / "measures.json"
    arguments = ["--checkpoint", folder, "--data", picture_folder, "--samples", 2, "--fills", 1, "--json", report]
    outcome = call(evaluate.main, *arguments)
    assert outcome.status == 0, outcome.err
    measures = json.loads(report.read_text())
    assert measures["kept_max_diff"] == 0
    assert len(measures["denoising_loss"]) == 10


@pytest.fixture
def kinds(tmp_path: Path) -> Path:
    """Eight shades of each of four classes, called by their numbers."""
    for number in range(32):
        folder = tmp_path / "kinds" / ("val" if number % 8 == 0 else "train") / str(number // 8)
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (SIDE, SIDE), (8 * number, 90, 9)).save(folder / f"{number}.png")
    return tmp_path / "kinds"


def test_evaluating_tells_classes_if_there_is_a_null_class(
    call, kinds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("train", "val"):
        shutil.rmtree(kinds / part / "3")
    conditional(tmp_path / "theirs", id2label={"0": "0", "1": "1", "2": "2"})
    monkeypatch.setattr(measuring, "classifier_of", lambda model, found: Classifier(len(model.classes)).eval())
    report = tmp_path / "measures.json"
    arguments = ["--checkpoint", tmp_path / "theirs", "--data", kinds, "--json", report, "--device", "cpu"]
    outcome = call(evaluate.main, *arguments, "--samples", 3, "--fills", 1)
    assert outcome.status == 0, outcome.err
    measures = json.loads(report.read_text())
    assert (measures["class_samples"], measures["samples"], len(measures["denoising_loss"])) == (3, 3, 10)
    assert 0 <= measures["class_accuracy"] <= 1


def test_evaluating_without_a_null_class_is_refused_before_anything_is_trained(
    call, kinds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conditional(tmp_path / "theirs")
    monkeypatch.setattr(measuring, "find", lambda *_: pytest.fail("looked at the pictures"))
    monkeypatch.setattr(measuring, "classifier_of", lambda *_: pytest.fail("trained a classifier"))
    outcome = call(evaluate.main, "--checkpoint", tmp_path / "theirs", "--data", kinds, "--device", "cpu")
    assert_refused(outcome, "theirs always wants a class and cannot be measured")
