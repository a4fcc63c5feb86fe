"""Reading what a run writes, and keeping what it was given."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from ddpm_core.data.find import find
from ddpm_core.images.files import open_picture
from ddpm_core.training.loop import TrainStep
from ddpm_core.training.record.journal import Journal
from ui.errors import Problem
from ui.training import uploads as training_uploads
from ui.training.log import POINTS, Losses, TrainingLog
from ui.training.uploads import pack


def row(step: int, loss: float | None = 1.0, **more: float) -> str:
    return json.dumps({"step": step, "loss": loss, "skipped": 0, **more}) + "\n"


def test_a_log_is_read_as_it_grows(tmp_path: Path) -> None:
    losses, log = Losses(tmp_path, "denoiser"), tmp_path / "denoiser.jsonl"
    losses.read()
    assert losses.curve() == []
    log.write_text(row(1) + row(2, held_out_loss=0.5) + row(3)[:9])
    losses.read()
    assert (losses.steps, losses.held_out) == ([1, 2], [(2, 0.5)])  # a line that is being written waits
    with open(log, "a") as file:
        file.write(row(3)[9:] + row(4))
    losses.read()
    losses.read()
    assert losses.steps == [1, 2, 3, 4]

    anew = tmp_path / "anew"  # resuming forgets what had not been saved
    anew.write_text(row(1) + row(2))
    anew.replace(log)
    losses.read()
    assert losses.steps == [1, 2]


def test_pages_that_look_at_once_see_whole_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a row, with its step taken in and its loss not, another page looks."""
    notes, take = TrainingLog(tmp_path, ("vae", "denoiser")), Losses._take
    (tmp_path / "vae.jsonl").write_text(row(1) + row(2))
    answers: list[Future[Any]] = []

    def halfway(losses: Losses, line: bytes) -> bool:
        losses.steps.append(0)
        looks: list[Callable[[], Any]] = [notes.position, notes.row_count, lambda: notes.curve("vae")]
        answers.extend(map(pages.submit, looks))
        wait(answers, timeout=0.1)
        losses.steps.pop()
        return take(losses, line)

    monkeypatch.setattr(Losses, "_take", halfway)
    with ThreadPoolExecutor() as pages:
        notes.read()
    for position, row_count, curve in zip(answers[::3], answers[1::3], answers[2::3], strict=True):
        assert position.result() == ("vae", 2)
        assert row_count.result() == 2
        assert curve.result() == ([(1, 1.0), (2, 1.0)], [])
    assert notes.curve("denoiser") is None


def test_curves_are_thinned_by_means(tmp_path: Path) -> None:
    losses = Losses(tmp_path, "vae")
    (tmp_path / "vae.jsonl").write_text("".join(row(step, step % 2) for step in range(1, 20 * POINTS + 1)))
    losses.read()
    curve = losses.curve()
    assert len(curve) == POINTS
    assert {loss for _, loss in curve} == {0.5}
    assert curve[0][0] == 10.5


def test_steps_that_were_not_finite_are_counted_and_not_drawn(tmp_path: Path) -> None:
    with Journal(tmp_path, "denoiser") as journal:  # as the trainer writes them down
        for step, loss in enumerate([math.nan, 3.0, math.inf, 4.0], start=1):
            skipped = (step + 1) // 2
            journal.write(TrainStep(step, {"loss": loss}, 1e-3, loss, skipped), {"held_out_loss": loss})
    losses = Losses(tmp_path, "denoiser")
    losses.read()
    assert losses.curve() == losses.held_out == [(2, 3.0), (4, 4.0)]
    assert losses.steps == [1, 2, 3, 4]
    assert losses.skipped == 2


def test_a_stretch_with_a_step_that_was_not_finite_is_drawn_from_the_others(tmp_path: Path) -> None:
    losses, count = Losses(tmp_path, "vae"), 3 * POINTS
    (tmp_path / "vae.jsonl").write_text("".join(row(step, None if step == 2 else 1.0) for step in range(1, count + 1)))
    losses.read()
    assert losses.curve()[:2] == [(2.0, 1.0), (5.0, 1.0)]
    assert len(losses.curve()) == POINTS


def test_a_zip_is_kept_as_it_is(tmp_path: Path, picture_folder: Path) -> None:
    given, kept = tmp_path / "mine.zip", tmp_path / "kept.zip"
    with zipfile.ZipFile(given, "w") as archive:
        for path in picture_folder.iterdir():
            archive.write(path, f"a/{path.name}")
    pack([str(given)], kept)
    assert kept.read_bytes() == given.read_bytes()
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []  # nothing is unpacked


def test_pictures_uploaded_one_by_one_become_a_zip(tmp_path: Path, picture_folder: Path) -> None:
    files = sorted(picture_folder.iterdir())
    pack([str(file) for file in [*files, files[0]]], tmp_path / "kept.zip")  # two of one name
    found = find(tmp_path / "kept.zip")
    sources = found.sources["train"] + found.sources["val"]
    assert len(sources) == len(files) + 1
    assert found.classes == ()
    assert open_picture(sources[0]).tobytes() == open_picture(files[0]).tobytes()


def test_what_cannot_be_used_is_reported(tmp_path: Path, picture_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture, kept = str(picture_folder / "00.png"), tmp_path / "kept.zip"
    letters, broken, notes = tmp_path / "letters.zip", tmp_path / "broken.zip", tmp_path / "notes.txt"
    with zipfile.ZipFile(letters, "w") as archive:
        archive.writestr("letter.txt", "dear")
    broken.write_bytes(letters.read_bytes()[:20])
    notes.write_text("dear")
    for files, sentence in (
        (None, "Choose pictures first"),
        ([], "Choose pictures first"),
        ([str(letters), picture], "not both"),
        ([str(letters), str(letters)], "not both"),
        ([str(notes)], "notes.txt is neither"),
        ([str(broken)], "broken.zip cannot be read as a zip"),
        ([str(letters)], "There are no pictures in letters.zip"),
    ):
        with pytest.raises(Problem, match=sentence) as told:
            pack(files, kept)
        assert str(tmp_path) not in told.value.message
    monkeypatch.setattr(training_uploads, "MAX_PICTURES", 1)
    with pytest.raises(Problem, match="These are 2 pictures"):
        pack([picture, picture], kept)
    monkeypatch.setattr(training_uploads, "MAX_TOTAL", 100)
    with pytest.raises(Problem, match="MB of pictures"):
        pack([picture], kept)
    assert not kept.exists()


def test_an_archive_full_of_nothing_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_uploads, "MAX_UNPACKED", 10**6)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.csv", b"0" * (10**6 + 1))
    with pytest.raises(Problem, match="unpacks to more than"):
        pack([str(tmp_path / "bomb.zip")], tmp_path / "kept.zip")


def test_plots_that_a_deleted_run_loses_in_between_are_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, lost = tmp_path / "loss-vae.png", tmp_path / "loss-denoiser.png"
    there.write_bytes(b"")
    monkeypatch.setattr("ui.training.log.plots_of", lambda folder: [there, lost])
    assert [plot.path for plot in TrainingLog(tmp_path, ("vae",)).plots()] == [there]
