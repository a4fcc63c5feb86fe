"""How a bar of progress is laid out where somebody watches it, and where it goes to a file."""

from __future__ import annotations

import io
import sys

import pytest
from tqdm import tqdm

from ddpm_core.display.progress_bar import COLUMNS, bar_layout


class Terminal(io.StringIO):
    """Standard error that somebody watches."""

    def isatty(self) -> bool:
        return True


def test_a_bar_is_as_wide_as_its_terminal_and_80_columns_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert (bar_layout()["ncols"], bar_layout()["dynamic_ncols"]) == (COLUMNS, False)
    in_a_file = bar_layout()["mininterval"]
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert (bar_layout()["ncols"], bar_layout()["dynamic_ncols"]) == (None, True)
    assert bar_layout()["mininterval"] < in_a_file


def test_a_bar_says_how_much_is_done_how_fast_and_how_long_it_takes_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with tqdm(total=4, desc="encoding", unit="batch", **bar_layout()) as bar:
        bar.update(1)
        line = str(bar)
    assert line.startswith("encoding 1/4 ")
    assert line.endswith(" left")
    assert len(line) <= COLUMNS
