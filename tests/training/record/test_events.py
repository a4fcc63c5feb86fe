"""A run as TensorBoard event files: what readers of them find."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer import event_file_writer

from ddpm_core.training.loop import TrainStep
from ddpm_core.training.record.journal import EVENTS, Journal


@pytest.fixture(autouse=True)
def files_numbered_from_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers take event files by name. Those of one second and process differ in a running number alone, and the
    tenth comes before the ninth; runs in real life are more than a second apart."""
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(0))


def taken(step: int, loss: float = 0.5, norm: float = 2.0, skipped: int = 0) -> TrainStep:
    return TrainStep(step, {"loss": loss, "kl": 4.0}, 1e-3, norm, skipped)


def painted(path: Path, level: int = 200) -> None:
    Image.new("RGB", (6, 4), (level, 0, 0)).save(path)


def events(notes: Path, stage: str = "vae") -> EventAccumulator:
    return EventAccumulator(str(notes / EVENTS / stage), {"images": 0, "histograms": 0, "scalars": 0}).Reload()


def test_event_files_hold_terms_rate_gradient_and_measures_of_every_step(tmp_path: Path) -> None:
    with Journal(tmp_path, "vae") as journal:
        journal.write(taken(1), {})
        journal.write(taken(2, loss=0.25, skipped=1), {"held_out_psnr": 20.0, "train_decile_3": 0.5})
    read = events(tmp_path)
    expected = {
        "train/loss": [(1, 0.5), (2, 0.25)],
        "train/kl": [(1, 4.0), (2, 4.0)],
        "train/learning_rate": [(1, 1e-3), (2, 1e-3)],
        "train/gradient_norm": [(1, 2.0), (2, 2.0)],
        "train/skipped": [(1, 0), (2, 1)],
        "held_out/psnr": [(2, 20.0)],
        "measured/train_decile_3": [(2, 0.5)],
    }
    assert sorted(read.Tags()["scalars"]) == sorted(expected)
    for tag, points in expected.items():
        assert [(event.step, event.value) for event in read.Scalars(tag)] == [
            (step, pytest.approx(value)) for step, value in points
        ]


@pytest.mark.parametrize(("stage", "name"), [("vae", "reconstructions"), ("denoiser", "samples")])
def test_event_files_hold_every_grid(tmp_path: Path, stage: str, name: str) -> None:
    with Journal(tmp_path, stage) as journal:
        for step in (1, 2, 3):
            if step != 2:
                painted(journal.grid(step), 50 * step)
            journal.write(taken(step), {})
    images = events(tmp_path, stage).Images(name)
    assert [(image.step, image.width, image.height) for image in images] == [(1, 6, 4), (3, 6, 4)]
    (tmp_path / "read.png").write_bytes(images[1].encoded_image_string)
    with Image.open(tmp_path / "read.png") as picture:
        assert (np.asarray(picture.convert("RGB")) == (150, 0, 0)).all()


def test_a_histogram_has_the_gradients_since_the_one_before(tmp_path: Path) -> None:
    norms = [1.0, 5.0, math.inf, 2.0, 9.0]
    with Journal(tmp_path, "vae") as journal:
        for step, norm in enumerate(norms, 1):
            if step in (3, 5):
                painted(journal.grid(step))
            journal.write(taken(step, norm=norm), {})
    histograms = events(tmp_path).Histograms("gradient_norm")
    said = [(event.step, *(getattr(event.histogram_value, of) for of in ("num", "min", "max"))) for event in histograms]
    assert said == [(3, 2, 1.0, 5.0), (5, 2, 2.0, 9.0)]


def test_events_of_lost_steps_do_not_appear_beside_their_repetition(tmp_path: Path) -> None:
    for begin, loss in ((0, 0.9), (2, 0.1)):
        with Journal(tmp_path, "vae", step=begin) as journal:
            for step in range(begin + 1, 5):
                painted(journal.grid(step))
                journal.write(taken(step, loss=loss), {})
    read = events(tmp_path)
    points = [(event.step, round(event.value, 3)) for event in read.Scalars("train/loss")]
    assert points == [(1, 0.9), (2, 0.9), (3, 0.1), (4, 0.1)]
    assert [event.step for event in read.Images("reconstructions")] == [1, 2, 3, 4]
