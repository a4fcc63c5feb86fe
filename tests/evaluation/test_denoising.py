"""The denoising loss that `evaluate` measures: the one of training, on held-out pictures, the classes told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_core.data.find import NONE, DataSet, find
from ddpm_core.data.load import load_pictures
from ddpm_core.evaluation import denoising
from ddpm_core.evaluation.denoising import measure_denoising
from ddpm_core.evaluation.measures import MEANING
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.training.losses import loss_by_decile
from tests.conftest import CLASSES


@pytest.fixture
def insects(tmp_path: Path) -> Path:
    """Eighteen shades in folders of the tiny model's classes, half of them held out."""
    for number in range(18):
        folder = tmp_path / ("train" if number % 2 else "val") / CLASSES[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32), (14 * number, 9, 9)).save(folder / f"{number}.png")
    return tmp_path


def measured(model: LatentDiffusion, found: DataSet) -> list[float]:
    measures = measure_denoising(model, found)
    assert measures.keys() == {"denoising_loss"} <= MEANING.keys()
    assert measures["denoising_loss"] is not None
    return measures["denoising_loss"]


def test_it_is_the_loss_of_training_on_held_out_latents(tiny_model: LatentDiffusion, insects: Path) -> None:
    found = find(insects, NONE)
    with torch.inference_mode():
        held_out = load_pictures(found.sources["val"], tiny_model.size)
        latents = tiny_model.codec.encode(held_out.batch(torch.arange(9)))
    losses = measured(tiny_model, found)
    assert losses == pytest.approx(loss_by_decile(tiny_model.denoiser, latents, tiny_model.diffuser), rel=1e-2)
    torch.manual_seed(5)
    assert measured(tiny_model, found) == losses


def test_classes_are_reported(class_model: LatentDiffusion, insects: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels_seen = []
    forward = class_model.denoiser.forward
    monkeypatch.setattr(
        class_model.denoiser, "forward", lambda z, t, label: labels_seen.append(label) or forward(z, t, label)
    )
    with_labels = measured(class_model, find(insects))
    assert sorted(torch.cat(labels_seen[: len(labels_seen) // 10]).tolist()) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    without_labels = measured(class_model, find(insects, NONE))
    assert labels_seen[-1] is None
    assert np.abs(np.subtract(with_labels, without_labels)).max() > 0


def test_no_more_pictures_than_that_are_looked_at(
    tiny_model: LatentDiffusion, insects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(denoising, "PICTURES", 4)
    monkeypatch.setattr(denoising, "loss_by_decile", lambda unet, clean, *rest: [float(len(clean))])
    assert measured(tiny_model, find(insects)) == [3.0]


def test_without_held_out_pictures_there_is_none(tiny_model: LatentDiffusion, insects: Path) -> None:
    found = find(insects, NONE)
    found.sources["val"] = []
    assert measure_denoising(tiny_model, found) == {"denoising_loss": None}
