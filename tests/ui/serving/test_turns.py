"""Two runs share the machine by time, and one that is left ends between two steps."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from gradio.context import LocalContext

from ui.serving.turns import Left, Turns, in_turns


def test_a_run_alone_takes_all_its_steps_in_order() -> None:
    assert list(in_turns(iter("abc"), Turns())) == ["a", "b", "c"]


def test_a_short_run_does_not_wait_for_the_end_of_a_long_one() -> None:
    """A step of the long one takes ten times as long: it gets one for ten of the other's."""
    time, order, turns = [0.0], [], Turns(lambda: time[0])
    begun, both = threading.Event(), threading.Barrier(2)

    def steps(name: str, count: int, seconds: float) -> Iterator[str]:
        for _ in range(count):
            order.append(name)
            time[0] += seconds
            yield name

    def long() -> None:
        run = in_turns(steps("long", 100, 10.0), turns)
        next(run)
        begun.set()
        both.wait(60)  # from here on the other one is there
        list(run)

    def short() -> None:
        run = in_turns(steps("short", 20, 1.0), turns)
        next(run)
        both.wait(60)
        list(run)

    first, second = threading.Thread(target=long), threading.Thread(target=short)
    first.start()
    assert begun.wait(60)
    second.start()
    first.join(60)
    second.join(60)
    assert (order.count("long"), order.count("short")) == (100, 20)
    # Whoever is slow to ask misses a turn, so the share is not exact; without turns it would be all of the long one's.
    assert order[: len(order) - 1 - order[::-1].index("short")].count("long") < 50


def test_a_run_that_fails_or_is_closed_lets_the_other_go_on() -> None:
    turns, closed = Turns(), []

    def steps() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    def fails() -> Iterator[int]:
        yield 1
        raise ValueError

    left = in_turns(steps(), turns)
    next(left)
    left.close()  # type: ignore[attr-defined]
    assert closed == [True]
    with pytest.raises(ValueError):  # noqa: PT011
        list(in_turns(fails(), turns))
    assert list(in_turns([1, 2], turns)) == [1, 2]


def test_a_run_whose_visitor_is_gone_ends_at_its_next_step() -> None:
    event, taken = SimpleNamespace(alive=True), []
    page = SimpleNamespace(_queue=SimpleNamespace(event_ids_to_events={"7": event}))
    tokens = LocalContext.blocks.set(page), LocalContext.event_id.set("7")  # type: ignore[arg-type]
    try:
        run = in_turns(iter(range(100)), Turns())
        taken.append(next(run))
        event.alive = False
        with pytest.raises(Left):
            next(run)
    finally:
        LocalContext.blocks.reset(tokens[0])
        LocalContext.event_id.reset(tokens[1])
    assert taken == [0]
