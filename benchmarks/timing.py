"""How the benchmarks time: contestants take turns in one process, and each is known by its median."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median


def medians(contestants: Mapping[str, Callable[[], object]], repeats: int, warmup: int = 2) -> dict[str, float]:
    """Seconds that one call of each takes, the median of `repeats`.

    They take turns, A B C A B C, so whatever else the machine does falls on all of them alike: quote ratios of what
    one call of this returns. The first `warmup` rounds are not counted.
    """
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(warmup + repeats):
        for name, call in contestants.items():
            start = time.perf_counter()
            call()
            if turn >= warmup:
                taken[name].append(time.perf_counter() - start)
    return {name: median(each) for name, each in taken.items()}
