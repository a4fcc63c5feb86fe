"""Runs take turns, a step each: at once, they would slow each other and double the memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from gradio.context import LocalContext

from ui.errors import Problem

Item = TypeVar("Item")


class Left(Problem):
    """Whoever asked for a run has stopped it or closed the page."""

    def __init__(self) -> None:
        super().__init__("It was stopped.")


class Turns:
    """Gives the next step to the run that has had the fewest seconds; a new one starts level with it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock, self._changed = clock, threading.Condition()
        self._seconds: dict[object, float] = {}  # of each run under way
        self._waiting: set[object] = set()
        self._busy = False

    @contextmanager
    def taking_part(self) -> Iterator[object]:
        """A run, from its beginning to its end."""
        run = object()
        with self._changed:
            self._seconds[run] = min(self._seconds.values(), default=0.0)
        try:
            yield run
        finally:
            with self._changed:
                del self._seconds[run]
                self._changed.notify_all()

    @contextmanager
    def turn(self, run: object) -> Iterator[None]:
        """Wait for the machine, and have it for one step."""
        with self._changed:
            self._waiting.add(run)
            self._changed.wait_for(lambda: not self._busy and min(self._waiting, key=self._seconds.__getitem__) is run)
            self._waiting.discard(run)
            self._busy = True
        begun = self._clock()
        try:
            yield
        finally:
            with self._changed:
                self._seconds[run] += self._clock() - begun
                self._busy = False
                self._changed.notify_all()


MACHINE = Turns()  # a process has one model's worth of processor


def in_turns(steps: Iterable[Item], turns: Turns = MACHINE) -> Iterator[Item]:
    """The steps of a sampler, each taken when it is its run's turn.

    Raises:
        Left: between two steps, if whoever asked for them is gone.
    """
    taken = iter(steps)
    try:
        with turns.taking_part() as run:
            while True:
                with turns.turn(run):
                    end_if_left()
                    try:
                        step = next(taken)
                    except StopIteration:
                        return
                yield step
    finally:
        if close := getattr(taken, "close", None):
            close()


def end_if_left() -> None:
    """Nothing happens outside of a handler.

    Raises:
        Left: the request of the handler here has been given up.
    """
    event = _event_here()
    if event is not None and not event.alive:
        raise Left


def nothing_to_make() -> None:
    """The handler here found that its request needs no call of the model: the line and the log are to reckon so."""
    if (event := _event_here()) is not None:
        event.calls = 0  # of `ui.serving.events.calls_in`


def _event_here() -> Any:
    """The line's event that the handler here answers; None outside of a handler."""
    page, number = LocalContext.blocks.get(None), LocalContext.event_id.get(None)
    return None if page is None or number is None else page._queue.event_ids_to_events.get(number)
