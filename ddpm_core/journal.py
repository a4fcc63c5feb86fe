"""The record of a stage's run, kept in the checkpoint's `training/` folder while it runs.

`<stage>.jsonl` has a row per optimiser step, and in those after which the stage was looked at its measures on
held-out pictures; `<stage>-<step>.png` is what it looked like.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ddpm_core.checkpoint import write_atomically
from ddpm_core.training import TrainStep


def rows_of(log: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL log in order; a last line that was cut off by a kill is left out."""
    rows = []
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


class Journal:
    """Where a stage's run is written down as it goes; use it as a context, for it holds a file open.

    Args:
        notes: the `training/` folder; made if it is missing.
        stage: whose run it is.
        step: how many steps the state that the run starts from has seen. What the log says of later ones, which
            were taken and lost, is forgotten.
    """

    def __init__(self, notes: Path, stage: str, step: int = 0):
        notes.mkdir(parents=True, exist_ok=True)
        self.notes, self.stage = notes, stage
        path = notes / f"{stage}.jsonl"
        kept = "".join(json.dumps(row) + "\n" for row in rows_of(path) if row["step"] <= step)
        write_atomically(path, lambda partial: partial.write_text(kept, encoding="utf-8"))
        self.log = open(path, "a", encoding="utf-8")  # noqa: SIM115

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *failure: object) -> None:
        self.log.close()

    def grid(self, step: int) -> Path:
        """Where the picture of step `step` belongs."""
        return self.notes / f"{self.stage}-{step:06d}.png"

    def settings(self, text: str) -> None:
        """Keep the resolved settings of the run, as JSON."""
        path = self.notes / f"{self.stage}.json"
        write_atomically(path, lambda partial: partial.write_text(text + "\n", encoding="utf-8"))

    def write(self, step: TrainStep, held_out: dict[str, float]) -> None:
        """Add the row of one step."""
        row = {"step": step.step, "learning_rate": step.learning_rate, "skipped": step.skipped, **step.losses}
        self.log.write(json.dumps(row | held_out) + "\n")
        self.log.flush()
