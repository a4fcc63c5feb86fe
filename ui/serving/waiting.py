"""How long it takes: seconds of a request, reckoned from earlier ones, and when each that waits will be ready."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Generic, TypeVar

Event = TypeVar("Event", bound=Hashable)

REMEMBERED, OF_A_KIND = 24, 8  # requests that count, those ended last
BEGINS_WITH = 20  # calls that the measurement at the start counts as: one picture


class Pace:
    """Seconds of requests by kind and calls; medians, for one that compiled is no rule."""

    def __init__(self) -> None:
        self._all: deque[tuple[int, float]] = deque(maxlen=REMEMBERED)
        self._batched_ratio = 1.0  # time of a call in a batch over that of one alone
        self._kinds: dict[Hashable, deque[tuple[int, float]]] = defaultdict(lambda: deque(maxlen=OF_A_KIND))

    def begin(self, per_call: float, batched: float | None = None) -> None:
        """Seconds per call of the model, alone and for each of a batch, as measured at the start."""
        self._all.append((BEGINS_WITH, BEGINS_WITH * per_call))
        if batched is not None:
            self._batched_ratio = min(1.0, batched / per_call)

    def note(self, kind: Hashable, calls: int, seconds: float, batched: bool = False) -> None:
        """Learn from a request; one made in a batch says nothing of the pace of others."""
        self._kinds[kind, batched].append((calls, seconds))
        if calls > 1 and not batched:
            self._all.append((calls, seconds))

    def seconds(self, kind: Hashable, calls: int, batched: bool = False) -> float | None:
        """How long a request is likely to take; None before anything is known of the model."""
        if not self._all:
            return None
        pace, beside = _per_call(self._all), 0.0
        for group in ((kind, False), (kind, batched)):
            if past := self._kinds.get(group):
                pace = min(pace, _per_call(past))
                # With a zero among them: the first of its kind compiles what later ones do not.
                beside = max(0.0, median_low([0.0, *(took - pace * made for made, took in past)]))
        if batched and not self._kinds.get((kind, True)):
            pace *= self._batched_ratio
        return beside + pace * calls


@dataclass
class Work(Generic[Event]):
    """What is or will be made at one time.

    Attributes:
        left: seconds until it is done, if nothing else is made.
        short: whether it may be made beside a long one.
    """

    events: Sequence[Event]
    left: float
    short: bool


def until_ready(
    running: Sequence[Work[Event]],
    waiting: Sequence[Event],
    work: Callable[[Sequence[Event]], Work[Event]],
    gather: Callable[[Event, Sequence[Event]], Sequence[Event]],
    lanes: int,
) -> Mapping[Event, float]:
    """Seconds until the result of each that waits, by walking through what the line will do.

    Args:
        waiting: in the order in which they are to begin.
        work: what these make when they begin together.
        gather: those that begin with the first that waits.
        lanes: how many are made at a time, all but one of them short.
    """
    now, under_way, queue, ready = 0.0, list(running), list(waiting), {}
    while queue or under_way:
        if not under_way:
            begun: Work[Event] | None = work(gather(queue[0], queue[1:]))
        elif len(under_way) < lanes and not any(one.short for one in under_way):
            begun = next((one for one in (work([event]) for event in queue) if one.short), None)
        else:
            begun = None
        if begun is not None:
            under_way.append(begun)
            queue = [event for event in queue if event not in begun.events]
            continue
        first = min(under_way, key=lambda one: one.left)
        passed = first.left
        now += passed * len(under_way)
        for one in under_way:
            one.left -= passed
        under_way.remove(first)
        ready.update(dict.fromkeys(first.events, now))
    return ready


def _per_call(past: Sequence[tuple[int, float]]) -> float:
    """Median of the seconds per call, weighted by calls."""
    ranked = sorted((seconds / calls, calls) for calls, seconds in past)
    half = sum(calls for _, calls in ranked) / 2
    for pace, calls in ranked:
        half -= calls
        if half <= 0:
            return pace
    return ranked[-1][0]
