"""What a training run writes down (`ddpm_core.training.record.journal`), read while it is being written."""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from ddpm_core.training.record.journal import grids_of, plots_of
from ddpm_core.training.settings import StageName

POINTS = 200  # of a curve on the page; more cannot be told apart

Point = tuple[float, float]


class Grid(NamedTuple):
    """A picture of how good a stage was after a step."""

    path: Path
    stage: StageName
    step: int


class Plot(NamedTuple):
    """A plot of the run's record, and when it was drawn, in nanoseconds since 1970."""

    path: Path
    drawn: int


class Curve(NamedTuple):
    """Losses of a stage by step (`Losses.curve`), and those on held-out pictures."""

    training: list[Point]
    held_out: list[Point]


class Losses:
    """The losses of a stage, from the log in the folder `notes`. For one thread at a time.

    Attributes:
        steps, losses: one per optimiser step; the loss is NaN where it was not finite, for which JSON has no word.
        held_out: step and loss on held-out pictures, where it was measured.
        skipped: steps that were not finite.
    """

    def __init__(self, notes: Path, stage: StageName):
        self.stage, self.log = stage, notes / f"{stage}.jsonl"
        self._forget()

    def _forget(self) -> None:
        self.steps: list[int] = []
        self.losses: list[float] = []
        self.held_out: list[Point] = []
        self.skipped = 0
        self._file, self._read = 0, 0

    def read(self) -> None:
        """Take in the rows that are new; all of them if the log was written anew, as on resuming."""
        try:
            with open(self.log, "rb") as file:
                status = os.fstat(file.fileno())
                if status.st_ino != self._file or status.st_size < self._read:
                    self._forget()
                    self._file = status.st_ino
                file.seek(self._read)
                for line in file:
                    if not line.endswith(b"\n") or not self._take(line):
                        break  # still being written
                    self._read += len(line)
        except FileNotFoundError:
            self._forget()

    def _take(self, line: bytes) -> bool:
        row = _row(line)
        if row is None:
            return False
        self.steps.append(row["step"])
        self.losses.append(math.nan if row["loss"] is None else row["loss"])
        self.skipped = row.get("skipped", 0)
        if row.get("held_out_loss") is not None:
            self.held_out.append((row["step"], row["held_out_loss"]))
        return True

    def curve(self) -> list[Point]:
        """Step and loss of the whole run in at most `POINTS` points, each the mean of what is finite in its stretch."""
        each = -(-len(self.steps) // POINTS) or 1
        drawn = [point for point in zip(self.steps, self.losses, strict=True) if math.isfinite(point[1])]
        stretches = (list(stretch) for _, stretch in groupby(drawn, lambda point: (point[0] - 1) // each))
        return [(fmean(step for step, _ in stretch), fmean(loss for _, loss in stretch)) for stretch in stretches]


class TrainingLog:
    """The `training/` folder of a run, which may be missing still. Threads may share it."""

    def __init__(self, folder: Path, stages: Sequence[StageName]):
        self.folder = folder
        self.losses = {stage: Losses(folder, stage) for stage in stages}
        self._reading = threading.Lock()

    def read(self) -> None:
        """Take in what is new."""
        with self._reading:
            for losses in self.losses.values():
                losses.read()

    def row_count(self) -> int:
        """Steps read so far, of all stages."""
        with self._reading:
            return sum(len(losses.steps) for losses in self.losses.values())

    def position(self) -> tuple[StageName | None, int]:
        """The stage the run has come to, and its step; None before the first."""
        with self._reading:
            for stage in reversed(self.losses):
                if self.losses[stage].steps:
                    return stage, self.losses[stage].steps[-1]
        return None, 0

    def curve(self, stage: StageName) -> Curve | None:
        """What there is to draw of a stage; None before its first step."""
        losses = self.losses.get(stage)
        if losses is None:
            return None
        with self._reading:
            return Curve(losses.curve(), list(losses.held_out)) if losses.steps else None

    def plots(self) -> tuple[Plot, ...]:
        """What has been drawn so far, in the order in which it is read."""
        drawn = []
        for path in plots_of(self.folder):
            with suppress(FileNotFoundError):  # of a run that is being deleted
                drawn.append(Plot(path, path.stat().st_mtime_ns))
        return tuple(drawn)

    def grid(self) -> Grid | None:
        """The newest grid of pictures; None before the first."""
        for stage in reversed(self.losses):
            if grids := grids_of(self.folder, stage):
                step, path = max(grids.items())
                return Grid(path, stage, step)
        return None


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and {"step", "loss"} <= row.keys() else None
