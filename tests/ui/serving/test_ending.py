"""The app's end: what is in line is finished, or the time for it is up. The end-to-end test ends a real process."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from ui.serving import ending


class Page(SimpleNamespace):
    """A page that is served, with a line of which all but `looks` looks find something in it."""

    def __init__(self, looks: float):
        super().__init__(is_running=True, looks=looks, closed=False, refuses=False)

    @property
    def idle(self) -> bool:
        self.looks -= 1
        return self.looks < 0

    def close_to_new(self) -> None:
        self.refuses = True

    def close(self, verbose: bool) -> None:
        assert not verbose
        self.closed = True


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "HANDED_OVER", 0.0)
    monkeypatch.setattr(ending, "line_of", lambda page: page)


@pytest.mark.parametrize(("looks", "grace"), [(0, 60.0), (3, 60.0), (float("inf"), 0.0)])
def test_it_closes_when_nothing_is_left_to_make_or_the_time_is_up(looks: float, grace: float) -> None:
    stop, page = threading.Event(), Page(looks)
    stop.set()
    ending.serve_until(page, stop, grace)  # type: ignore[arg-type]
    assert page.closed
    assert page.refuses
    assert page.looks < 0 or grace == 0


def test_ctrl_c_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            raise KeyboardInterrupt

    page: Any = Page(float("inf"))
    ending.serve_until(page, Interrupted(), 60.0)
    assert page.closed
    assert not page.refuses


def test_what_was_to_be_done_at_the_end_is_done_and_the_process_has_ended_well(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []
    monkeypatch.setattr(ending.atexit, "_run_exitfuncs", lambda: said.append("cleaned"))
    monkeypatch.setattr(ending.os, "_exit", said.append)
    ending.leave()
    assert said == ["cleaned", 0]
