"""The record of a stage's run: rows and runs, and that what was lost is forgotten."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from PIL import Image

from ddpm_core.training.loop import TrainStep
from ddpm_core.training.record import journal as journals
from ddpm_core.training.record.journal import (
    BY_TIMESTEP,
    NOISE,
    SAMPLES_BY_TIMESTEP,
    Journal,
    grids_of,
    plots_of,
    rows_of,
    runs_of,
)


def taken(step: int, loss: float = 0.5, norm: float = 2.0, skipped: int = 0) -> TrainStep:
    return TrainStep(step, {"loss": loss, "kl": 4.0}, 1e-3, norm, skipped)


def painted(path: Path, level: int = 200) -> None:
    Image.new("RGB", (6, 4), (level, 0, 0)).save(path)


# Rows


def test_nothing_is_written_before_it_is_entered(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "training", "vae")
    assert not (tmp_path / "training").exists()
    with journal:
        assert (tmp_path / "training" / "vae.jsonl").exists()


def test_a_row_says_what_a_step_did_and_what_was_measured_after_it(tmp_path: Path) -> None:
    with Journal(tmp_path, "vae") as journal:
        journal.write(taken(1), {})
        journal.write(taken(2, norm=3.5, skipped=1), {"held_out_psnr": 20.0})
    first, second = rows_of(tmp_path / "vae.jsonl")
    assert journal.rows == [first, second]  # so nobody has to read them while it is open
    assert first == {"step": 1, "learning_rate": 1e-3, "skipped": 0, "gradient_norm": 2.0, "loss": 0.5, "kl": 4.0}
    assert (second["gradient_norm"], second["skipped"], second["held_out_psnr"]) == (3.5, 1, 20.0)


def test_numbers_that_are_not_finite_leave_the_log_json(tmp_path: Path) -> None:
    with Journal(tmp_path, "vae") as journal:
        journal.write(taken(1, loss=math.nan, norm=math.inf), {})

    def refuse(word: str) -> None:
        pytest.fail(f"{word} is no JSON")

    row = json.loads((tmp_path / "vae.jsonl").read_text(), parse_constant=refuse)
    assert (row["loss"], row["gradient_norm"], row["kl"]) == (None, None, 4.0)


def test_rows_and_grids_of_steps_that_were_lost_are_forgotten(tmp_path: Path) -> None:
    with Journal(tmp_path, "vae") as journal:
        for step in range(1, 6):
            painted(journal.grid(step))
            journal.write(taken(step), {})
    other = tmp_path / "vae-notes.png"
    painted(other)
    with Journal(tmp_path, "vae", step=3) as journal:
        journal.write(taken(4, loss=0.1), {})
    assert [row["step"] for row in rows_of(tmp_path / "vae.jsonl")] == [1, 2, 3, 4]
    assert list(grids_of(tmp_path, "vae")) == [1, 2, 3]
    assert other.exists()


# Runs


def test_time_adds_up_over_runs_and_keeps_out_of_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(journals.time, "monotonic", lambda: now)
    with Journal(tmp_path, "vae", facts={"device": "cpu"}) as journal:
        for step in (1, 2, 3):
            now += 2
            journal.write(taken(step), {})
    with Journal(tmp_path, "vae", step=2, facts={"device": "cuda"}) as journal:  # the third was lost
        now += 5
        journal.write(taken(3), {})
    with Journal(tmp_path, "vae", step=3):  # nothing left to do
        now += 9
    assert runs_of(tmp_path, "vae") == [
        {"from": 0, "to": 2, "seconds": 6.0, "device": "cpu"},
        {"from": 2, "to": 3, "seconds": 5.0, "device": "cuda"},
    ]


def test_a_run_that_is_killed_has_left_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(journals.time, "monotonic", lambda: now)
    with Journal(tmp_path, "vae") as journal:
        journal.write(taken(1), {})
        now += 2 * journals.PUNCTUAL
        journal.write(taken(2), {})
        assert runs_of(tmp_path, "vae")[0]["seconds"] == 2 * journals.PUNCTUAL


def test_a_new_start_has_no_earlier_runs_and_a_damaged_note_of_them_is_none(tmp_path: Path) -> None:
    with Journal(tmp_path, "vae") as journal:
        journal.write(taken(1), {})
    with Journal(tmp_path, "vae") as journal:
        journal.write(taken(1), {})
        journal.write(taken(2), {})
    assert [(run["from"], run["to"]) for run in runs_of(tmp_path, "vae")] == [(0, 2)]
    for damaged in ('[{"from": 0', '{"from": 0}', '[{"from": 0}, 5]'):
        (tmp_path / "vae-runs.json").write_text(damaged)
        assert runs_of(tmp_path, "vae") == []


def test_plots_of_a_record_are_found_in_the_order_in_which_they_are_read(tmp_path: Path) -> None:
    assert plots_of(tmp_path) == []
    for name in (NOISE, SAMPLES_BY_TIMESTEP, BY_TIMESTEP, "loss-denoiser.png", "loss-vae.png", "denoiser-000100.png"):
        (tmp_path / name).touch()
    names = ["loss-vae.png", "loss-denoiser.png", BY_TIMESTEP, SAMPLES_BY_TIMESTEP, NOISE]
    assert [path.name for path in plots_of(tmp_path)] == names
