"""A run in front of a visitor: previews, how far it is, time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import gradio as gr

from ddpm_core.diffusion.samplers import Step
from ui.files import workspace
from ui.serving.turns import end_if_left, in_turns

NOTHING = "Nothing made yet."
PREVIEW_SECONDS = 0.125  # between previews; the page cannot show many more and has no way to say so
PREVIEW_FRACTION = 0.1  # what previews may cost of the time between them: the picture is what is waited for

Status = dict[str, Any]


@dataclass(frozen=True)
class Tick:
    """One step of a watched run.

    Attributes:
        done, total: steps taken and to take.
        elapsed: seconds so far.
        preview_due: whether to decode and show a preview now.
        bar_due: whether to update the bar now. A handler has to yield then: only there can it be stopped.
    """

    step: Step
    done: int
    total: int
    elapsed: float
    preview_due: bool
    bar_due: bool

    @property
    def status(self) -> Status:
        """What the bar shows."""
        left = self.elapsed / self.done * (self.total - self.done)
        return status(f"step {self.done} of {self.total} · {seconds(left)} left", self.done / self.total)

    @property
    def finished(self) -> Status:
        """What the bar shows when the results are there."""
        return status(f"{self.total} step{'s' * (self.total > 1)} in {seconds(self.elapsed)}", 1)


class PreviewBudget:
    """When previews are due in a run, or in all runs of a batch: at the same steps, and as if they were one run's.

    One is due every `PREVIEW_SECONDS` at most; those that take long come less often (`PREVIEW_FRACTION`).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.clock, self._lock = clock, Lock()
        self._shown, self._pause = clock(), PREVIEW_SECONDS
        self._due: dict[int, float] = {}  # seconds that each took so far, by step; of members the longest
        self._seen = 0  # steps decided on

    def due(self, done: int) -> bool:
        """Whether to show a preview of that step, counted from 1; decided by the first run that comes to it."""
        with self._lock:
            if done > self._seen:
                self._seen = done
                if self.clock() - self._shown >= self._pause:
                    self._due[done] = 0.0
                    self._pause = float("inf")  # until it is shown
            return done in self._due

    def took(self, done: int, seconds: float) -> None:
        """A run has shown its preview of that step just now."""
        with self._lock:
            self._due[done] = max(self._due[done], seconds)
            if done == max(self._due):
                self._shown = self.clock()
                self._pause = max(PREVIEW_SECONDS, self._due[done] / PREVIEW_FRACTION)


def watch(steps: Iterable[Step], total: int, budget: PreviewBudget | None = None) -> Iterator[Tick]:
    """Walk through `total` sampler steps; a preview is due when the `budget` says, and never at the end.

    Between previews the bar alone is updated, every `PREVIEW_SECONDS` at most.
    """
    budget = budget or PreviewBudget()
    clock = budget.clock
    start = updated = clock()
    for done, step in enumerate(steps, start=1):
        now = clock()
        preview_due = done < total and budget.due(done)
        bar_due = preview_due or (now - updated >= PREVIEW_SECONDS and done < total)
        yield Tick(step, done, total, now - start, preview_due, bar_due)
        if bar_due:
            updated = clock()  # counted from when it had been shown, so slow pages get fewer
        if preview_due:
            budget.took(done, updated - now)


Updates = dict[gr.blocks.Block, Any]  # what a handler yields: new values or properties by component


def run_with_previews(
    steps: Iterable[Step],
    total: int,
    bar: gr.HTML,
    preview: Callable[[Step], Updates],
    result: Callable[[Step, Path], Updates],
    budget: PreviewBudget | None = None,
) -> Iterator[Updates]:
    """Walk through `total` sampler steps in front of a visitor.

    Args:
        steps: closed with this generator, as Stop does.
        preview: what a step puts on the page; called only when a preview is due.
        result: what the last step puts on the page; may write into the folder it is given, which goes afterwards.
        budget: of previews; its own unless given.
    """
    for tick in watch(in_turns(steps), total, budget):
        end_if_left()  # a preview of many pictures takes longer than a step
        if tick.preview_due:
            yield {**preview(tick.step), bar: tick.status}
        elif tick.bar_due:
            yield {bar: tick.status}
    with workspace() as folder:
        yield {**result(tick.step, folder), bar: tick.finished}


def seconds(duration: float) -> str:
    """A duration the way one says it."""
    if duration < 10:
        return f"{duration:.1f} s"
    if duration < 90:
        return f"{duration:.0f} s"
    return f"{duration / 60:.0f} min"


def status(text: str = "", fraction: float = 0.0) -> Status:
    """The bar's value: a line, and how far it is filled (0 to 1)."""
    return {"text": text, "percent": round(100 * fraction)}
