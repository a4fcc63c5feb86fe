"""How the benchmarks time: contestants take turns in one process, and each is known by its median."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median


def turns(contestants: Mapping[str, Callable[[], object]], repeats: int, warmup: int = 2) -> dict[str, list[float]]:
    """Seconds of one call of each, `repeats` times after `warmup` rounds.

    They take turns, A B C A B C, so whatever else the machine does falls on all alike: quote ratios.
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
    """How many times longer one took than another, the median over `turns`.

    Neighbours in time are compared, which a machine fast and slow by turns moves least.
    """
    return median(a / b for a, b in zip(one, other, strict=True))
