"""How the benchmarks time: contestants take turns in one process, and each is known by its median."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median


def turns(contestants: Mapping[str, Callable[[], object]], repeats: int, warmup: int = 2) -> dict[str, list[float]]:
    """Seconds that one call of each takes, `repeats` times.

    They take turns, A B C A B C, so whatever else the machine does falls on all of them alike: quote ratios of what
    one call of this returns. The first `warmup` rounds are not counted.
    """
    seconds_of: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(warmup + repeats):
        for name, call in contestants.items():
            start = time.perf_counter()
            call()
            if turn >= warmup:
                seconds_of[name].append(time.perf_counter() - start)
    return seconds_of


def medians(contestants: Mapping[str, Callable[[], object]], repeats: int, warmup: int = 2) -> dict[str, float]:
    """The median of each contestant's `turns`."""
    return {name: median(each) for name, each in turns(contestants, repeats, warmup).items()}


def ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """How many times longer one took than another, the median of `turns`.

    A turn's two are neighbours in time, so a machine that is now fast and now slow, for seconds on end, moves this less
    than the ratio of two medians, which may be of a fast and of a slow time.
    """
    return median(a / b for a, b in zip(one, other, strict=True))
