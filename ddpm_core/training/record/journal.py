"""The record of a stage's run, kept in the checkpoint's `training/` folder while it runs.

`<stage>.jsonl` has a row per optimiser step, and nothing of the clock; `<stage>-<step>.png` are grids;
`<stage>-runs.json` has an entry for every start, with times.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ddpm_core.checkpoints.atomic import UnwritableError, write_atomically, writing
from ddpm_core.training.loop import TrainStep
from ddpm_core.training.settings import STAGES, StageName

EVENTS = "tensorboard"  # the folder of event files
BY_TIMESTEP, SAMPLES_BY_TIMESTEP, NOISE = "loss-by-timestep.png", "samples-by-timestep.png", "schedule.png"  # plots
PUNCTUAL = 60.0  # seconds, about, between two notes of how long a run has taken


def rows_of(log: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL log, without a last line that a kill cut off."""
    rows = []
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


def runs_of(notes: Path, stage: str) -> list[dict[str, Any]]:
    """Of each run of a stage: the steps `from` and `to`, `seconds`, and its facts."""
    try:
        runs = json.loads((notes / f"{stage}-runs.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    known = [run for run in runs if isinstance(run, dict)] if isinstance(runs, list) else []
    return [run for run in known if {"from", "to", "seconds"} <= run.keys()]


def grids_of(notes: Path, stage: str) -> dict[int, Path]:
    """A stage's pictures by step, in order."""
    named = ((re.fullmatch(rf"{stage}-(\d{{6,}})\.png", path.name), path) for path in notes.glob(f"{stage}-*.png"))
    return dict(sorted((int(match[1]), path) for match, path in named if match))


def loss_file(stage: StageName) -> str:
    """The name of the plot of a stage's loss."""
    return f"loss-{stage}.png"


def plots_of(notes: Path) -> list[Path]:
    """The plots in a run's record, in the order in which they are read."""
    names = [*map(loss_file, STAGES), BY_TIMESTEP, SAMPLES_BY_TIMESTEP, NOISE]
    return [notes / name for name in names if (notes / name).is_file()]


class Journal:
    """The record of a stage's run in `notes`, the `training/` folder; a context, which holds files open.

    Args:
        step: steps the run's state has seen; records of later ones, which were lost, are dropped.
        facts: what else to record of the run, as JSON takes it.
    """

    def __init__(self, notes: Path, stage: str, step: int = 0, facts: dict[str, Any] | None = None):
        self.notes, self.stage, self.step = notes, stage, step
        self.path = notes / f"{stage}.jsonl"
        self.run = {"from": step, "to": step, "seconds": 0.0} | (facts or {})

    def __enter__(self) -> Journal:
        from ddpm_core.training.record.events import (
            Events,  # here, because who reads a log need not wait for TensorBoard
        )

        notes, stage, step = self.notes, self.stage, self.step
        notes.mkdir(parents=True, exist_ok=True)
        self.rows = [row for row in rows_of(self.path) if row["step"] <= step]  # all so far; plots are drawn of them
        lines = "".join(json.dumps(row) + "\n" for row in self.rows)
        write_atomically(self.path, lambda partial: partial.write_text(lines, encoding="utf-8"))
        for number, grid in grids_of(notes, stage).items():
            if number > step:
                grid.unlink()
        self.runs = [run | {"to": min(run["to"], step)} for run in runs_of(notes, stage) if run["from"] < step]
        self.started = self.noted = time.monotonic()
        with writing(self.path):
            self.log = open(self.path, "a", encoding="utf-8")
        with writing(notes / EVENTS):
            self.events = Events(notes / EVENTS / stage, step)
        return self

    def __exit__(self, *failure: object) -> None:
        for path, finish in ((self.path, self.log.close), (self.notes / EVENTS, self.events.close)):
            self._finish(path, finish, failure)
        self._finish(self.notes, self._note_time, failure)

    def _finish(self, path: Path, finish: Callable[[], object], failure: tuple[object, ...]) -> None:
        try:
            with writing(path):
                finish()
        except UnwritableError:
            if failure[0] is None:  # otherwise something else was complained of, and that is to be heard
                raise

    def grid(self, step: int) -> Path:
        return self.notes / f"{self.stage}-{step:06d}.png"

    def settings(self, text: str) -> None:
        path = self.notes / f"{self.stage}.json"
        write_atomically(path, lambda partial: partial.write_text(text + "\n", encoding="utf-8"))

    def write(self, step: TrainStep, held_out: dict[str, float]) -> None:
        """Add the row and the events of one step, whose grid, if any, is there already."""
        numbers = {"step": step.step, "learning_rate": step.learning_rate, "skipped": step.skipped}
        numbers |= {"gradient_norm": step.gradient_norm, **step.losses, **held_out}
        row = {name: _plain(value) for name, value in numbers.items()}
        with writing(self.path):
            self.log.write(json.dumps(row, allow_nan=False) + "\n")
            self.log.flush()
        self.rows.append(row)
        grid = self.grid(step.step)
        with writing(self.notes / EVENTS):
            self.events.write(step, held_out)
            if grid.exists():
                self.events.write_grid(step.step, "reconstructions" if self.stage == "vae" else "samples", grid)
        self.run["to"] = step.step
        if grid.exists() or time.monotonic() - self.noted > PUNCTUAL:
            self._note_time()

    def _note_time(self) -> None:
        if self.run["to"] == self.run["from"]:
            return
        self.noted = time.monotonic()
        self.run["seconds"] = round(self.noted - self.started, 1)
        text = json.dumps([*self.runs, self.run], indent=1) + "\n"
        path = self.notes / f"{self.stage}-runs.json"
        write_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def _plain(value: float) -> float | None:
    """None for numbers that are not finite, for which JSON has no word."""
    return value if math.isfinite(value) else None
