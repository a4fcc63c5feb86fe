"""How far something is, on standard error: much takes a command minutes, and hours on a busy machine."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, TypeVar

from tqdm import tqdm

LAYOUT = "{desc} {n_fmt}/{total_fmt} {bar} {rate_fmt}, {remaining} left{postfix}"
ON_SCREEN, IN_A_FILE = 0.2, 30.0  # seconds between two states of a bar
COLUMNS = 80  # width of the line in a file

Item = TypeVar("Item")


def bar_layout() -> dict[str, Any]:
    """How a bar of `tqdm` on standard error is written: in a file, 80 columns twice a minute."""
    watched = sys.stderr.isatty()
    pause = ON_SCREEN if watched else IN_A_FILE
    return {
        "bar_format": LAYOUT,
        "dynamic_ncols": watched,
        "ncols": None if watched else COLUMNS,
        "mininterval": pause,
        "maxinterval": max(10.0, pause),
        "miniters": 1,
    }


def batches_watched(batches: Iterable[Item], pictures: int, size: int, doing: str) -> Iterable[Item]:
    """`watched` for the batches of `size` that some pictures come in."""
    return watched(batches, doing, "batch", -(-pictures // size))


def watched(items: Iterable[Item], doing: str, unit: str, total: int | None = None) -> Iterable[Item]:
    """The items, with a line of how many are done and the time left; `total` is for items that have no length."""
    return tqdm(items, desc=doing, unit=unit, total=total, **bar_layout())


def steps_watched(steps: Iterable[Item], total: int, doing: str = "sampling") -> Iterable[Item]:
    """`watched` for reverse steps: in a file nothing is said of those that are taken before its first line is due."""
    delay = 0.0 if sys.stderr.isatty() else IN_A_FILE
    return tqdm(steps, desc=doing, unit="step", total=total, delay=delay, **bar_layout())
