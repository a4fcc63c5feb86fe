"""Progress, time left, and previews at a bearable rate."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ui.components import progress


def ticks(total: int, each: float) -> list[progress.Tick]:
    """A run of steps that take `each` seconds."""
    time = [0.0]

    def steps() -> Iterator[None]:
        for _ in range(total):
            time[0] += each
            yield None

    return list(progress.watch(steps(), total, progress.PreviewBudget(lambda: time[0])))  # type: ignore[arg-type]


def test_previews_are_few() -> None:
    fast = ticks(1000, 0.001)
    assert sum(tick.preview_due for tick in fast) <= 1000 * 0.001 / progress.PREVIEW_SECONDS
    slow = ticks(10, 1.0)
    assert [tick.preview_due for tick in slow] == [True] * 9 + [False]  # the last is a result, not a preview


@pytest.mark.parametrize("cost", [0.0, 0.5])
def test_previews_that_take_long_come_less_often(cost: float) -> None:
    time = [0.0]

    def steps() -> Iterator[None]:
        for _ in range(1000):
            time[0] += 0.01
            yield None

    shown = 0
    for tick in progress.watch(steps(), 1000, progress.PreviewBudget(lambda: time[0])):  # type: ignore[arg-type]
        time[0] += cost * tick.preview_due
        shown += tick.preview_due
    spent_on_steps = 1000 * 0.01
    assert shown * cost <= progress.PREVIEW_FRACTION * spent_on_steps + cost  # the first tells how long they take
    assert 1 < shown <= spent_on_steps / progress.PREVIEW_SECONDS


def test_status() -> None:
    status = ticks(20, 0.5)[11].status
    assert status == {"text": "step 12 of 20 · 4.0 s left", "percent": 60}
    assert ticks(1, 120.0)[0].finished == {"text": "1 step in 2 min", "percent": 100}


def test_watching_is_lazy() -> None:
    """Leaving the watch leaves the sampler: that is what Stop relies on."""
    taken = []

    def steps() -> Iterator[int]:
        for i in range(100):
            taken.append(i)
            yield i

    watched = progress.watch(steps(), 100)  # type: ignore[arg-type]
    next(watched)
    watched.close()  # type: ignore[attr-defined]
    assert taken == [0]


def test_where_previews_take_long_the_bar_is_updated_between_them() -> None:
    time = [0.0]

    def steps() -> Iterator[None]:
        while True:
            time[0] += 0.03
            yield None

    walked = []
    for tick in progress.watch(steps(), 200, progress.PreviewBudget(lambda: time[0])):  # type: ignore[arg-type]
        walked.append((time[0], tick.preview_due, tick.bar_due))
        time[0] += 0.5 * tick.preview_due
        if tick.done == 199:
            break
    updated = [at for at, _, updated in walked if updated]
    assert all(updated for _, due, updated in walked if due)
    assert sum(due for _, due, _ in walked) < len(updated) / 3
    assert max(later - earlier for earlier, later in pairwise(updated)) < progress.PREVIEW_SECONDS + 0.5 + 0.07


class Shown:
    """Counts what a tab was asked to show."""

    def __init__(self) -> None:
        self.previews, self.folders = 0, []

    def preview(self, step: object) -> dict:
        self.previews += 1
        return {"picture": f"preview {step}"}

    def result(self, step: object, folder: Path) -> dict:
        self.folders.append(folder)
        assert folder.is_dir()
        return {"picture": f"result {step}"}


def test_every_tab_shows_previews_on_the_way_and_its_result_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PREVIEW_SECONDS", 0.0)
    monkeypatch.setattr(progress, "PREVIEW_FRACTION", float("inf"))
    shown = Shown()
    updates: Any = progress.run_with_previews(iter("abc"), 3, "bar", shown.preview, shown.result)  # type: ignore[arg-type]
    first, second, last = updates
    assert [first["picture"], second["picture"], last["picture"]] == ["preview a", "preview b", "result c"]
    assert first["bar"]["text"].startswith("step 1 of 3 ")
    assert last["bar"]["text"].startswith("3 steps in ")
    assert shown.previews == 2
    assert not shown.folders[0].exists()  # what was handed over has been copied by then


def test_a_run_that_is_left_closes_the_sampler_and_shows_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PREVIEW_SECONDS", 0.0)
    shown, closed = Shown(), []

    def steps() -> Iterator[str]:
        try:
            yield from "abc"
        finally:
            closed.append(True)

    run: Any = progress.run_with_previews(steps(), 3, "bar", shown.preview, shown.result)  # type: ignore[arg-type]
    next(run)
    run.close()
    del run
    assert closed == [True]
    assert shown.folders == []
