"""How a bar of progress is laid out where somebody watches it, and where it goes to a file."""

from __future__ import annotations

import io
import re
import sys

import pytest
from tqdm import tqdm

from ddpm_core.display import progress_bar
from ddpm_core.display.progress_bar import COLUMNS, bar_layout, batches_watched, steps_watched, watched


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


def test_lines_have_count_rate_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(watched(range(4), "sampling", "picture")) == [0, 1, 2, 3]
    said = capsys.readouterr()
    assert said.out == ""
    assert re.search(r"sampling 0/4 .*sampling 4/4 \S+ +[\d.]+(picture/s|s/picture), [\d:]+ left", said.err, re.DOTALL)


def test_batches_are_counted_though_they_come_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(list(batches_watched(iter("abc"), pictures=20, size=8, doing="encoding"))) == 3
    assert "encoding 3/3" in capsys.readouterr().err


def test_steps_are_counted_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(steps_watched(iter("abc"), 3)) == ["a", "b", "c"]
    said = capsys.readouterr()
    assert said.out == ""
    assert re.search(r"sampling 0/3 .*sampling 3/3 .* left", said.err, re.DOTALL)


def test_a_log_has_steps_twice_a_minute_and_none_of_a_run_of_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(steps_watched(range(20), 20)) == list(range(20))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress_bar, "IN_A_FILE", 0.0)
    assert list(steps_watched(range(2), 2, "filling")) == [0, 1]
    assert "filling 2/2" in capsys.readouterr().err
