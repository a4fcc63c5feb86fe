"""How far a measure is, on standard error."""

from __future__ import annotations

import re

import pytest

from ddpm_core.evaluation.progress import batches_watched, watched


def test_lines_have_count_rate_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(watched(range(4), "sampling", "picture")) == [0, 1, 2, 3]
    said = capsys.readouterr()
    assert said.out == ""
    assert re.search(r"sampling 0/4 .*sampling 4/4 \S+ +[\d.]+(picture/s|s/picture), [\d:]+ left", said.err, re.DOTALL)


def test_batches_are_counted_though_they_come_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(list(batches_watched(iter("abc"), pictures=20, size=8, doing="encoding"))) == 3
    assert "encoding 3/3" in capsys.readouterr().err
