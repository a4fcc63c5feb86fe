"""A few of the losses that `python -m tests.faults.losses` has runs suffer: files cut off anywhere, a full disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import losses
from tests.runs import STEPS

CUTS, WRITES = 6, (0, 3, 9)


def test_a_run_whose_file_ends_anywhere_is_resumed_or_says_why_not(
    photos: Path, finished_run: Path, tmp_path: Path
) -> None:
    for name, out in losses.cut(finished_run, tmp_path, CUTS):
        try:
            losses.resumed(photos, out, tmp_path / "output", STEPS + 1)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


@pytest.mark.parametrize("write", WRITES)
def test_a_disk_that_is_full_at_any_write_is_told_and_the_run_resumed(
    photos: Path, finished_run: Path, tmp_path: Path, write: int
) -> None:
    assert losses.full_at(write, photos, finished_run, tmp_path)
