"""How far a measure is, on standard error: of many a command takes minutes, and hours on a busy machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

from ddpm_core.display.progress_bar import bar_layout

Item = TypeVar("Item")


def batches_watched(batches: Iterable[Item], pictures: int, size: int, doing: str) -> Iterable[Item]:
    """`watched` for the batches of `size` that some pictures come in."""
    return watched(batches, doing, "batch", -(-pictures // size))


def watched(items: Iterable[Item], doing: str, unit: str, total: int | None = None) -> Iterable[Item]:
    """The items, with a line of how many are done and the time left; `total` is for items that have no length."""
    return tqdm(items, desc=doing, unit=unit, total=total, **bar_layout())
