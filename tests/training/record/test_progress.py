"""The one line that a run shows."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable

import pytest
import torch

from ddpm_core.display.progress_bar import COLUMNS
from ddpm_core.training.loop import TrainStep
from ddpm_core.training.record import progress
from ddpm_core.training.record.progress import StageBar, memory_in_use

Lines = Callable[[], list[str]]
CPU = torch.device("cpu")


def taken(step: int, loss: float = 0.5, skipped: int = 0) -> TrainStep:
    return TrainStep(step, {"loss": loss}, 1e-3, 1.0, skipped)


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    """States of the bar that were written to standard error, which is no terminal here, since the last call."""
    return lambda: [line.rstrip() for line in re.split(r"[\r\n]+", capsys.readouterr().err) if line.strip()]


def test_the_line_has_step_loss_rate_time_left_and_memory(lines: Lines) -> None:
    with StageBar("vae", 3, CPU) as bar:
        for step in (1, 2, 3):
            bar.show(taken(step), {})
    last = lines()[-1]
    assert re.fullmatch(r"vae 3/3 \S+ +[\d.]+(it/s|s/it), [\d:]+ left, loss 0\.5000, \d+\.\d GB", last)
    assert "skipped" not in last


def test_a_long_line_fits_eighty_columns(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "memory_in_use", lambda device: 12_100_000_000)
    with StageBar("denoiser", 24_000, CPU) as bar:
        now = bar.bar.start_t
        bar.bar._time = lambda: now
        for step in range(10_000, 10_200):
            now += 0.5
            bar.show(taken(step, skipped=3), {})
    written = lines()
    assert re.search(r" 2\.00it/s, 1:55:\d\d left, loss 0\.5000, 12\.1 GB, 3 skipped$", written[-1])
    assert max(map(len, written)) <= COLUMNS
    assert COLUMNS == 80


def test_a_file_is_not_flooded(lines: Lines) -> None:
    with StageBar("vae", 2000, CPU) as bar:
        for step in range(1, 2001):
            bar.show(taken(step), {})
    assert len(lines()) <= 4  # the first, the last, and one more should a minute have gone by


def test_a_file_is_written_to_now_and_then(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    with StageBar("vae", 100, CPU) as bar:
        now = bar.bar.start_t
        bar.bar._time = lambda: now
        for step in range(1, 101):
            now += 6
            bar.show(taken(step), {})
    assert 15 <= len(lines()) <= 30  # twice a minute, ten minutes long


def test_a_resumed_run_is_not_credited_with_the_steps_before() -> None:
    with StageBar("vae", 5000, CPU) as bar:
        now = bar.bar.last_print_t
        bar.bar._time = lambda: now
        for step in range(4001, 4101):
            now += 1.0
            bar.show(taken(step), {})
        assert bar.bar.n == 4100
        assert bar.bar.format_dict["rate"] == pytest.approx(1.0, rel=0.05)


def test_the_loss_is_smoothed_and_one_that_is_not_finite_does_not_spoil_it() -> None:
    with StageBar("vae", 4, CPU) as bar:
        bar.show(taken(1, math.nan), {})
        assert bar.smooth is None
        bar.show(taken(2, 1.0), {})
        bar.show(taken(3, math.nan), {})
        bar.show(taken(4, 0.0), {})
        assert bar.smooth == pytest.approx(0.98)


def test_measures_get_one_line_without_the_tenths(capsys: pytest.CaptureFixture[str]) -> None:
    with StageBar("denoiser", 9, CPU) as bar:
        bar.show(taken(7), {"held_out_loss": 0.25, "held_out_decile_0": 0.5})
        bar.show(taken(8), {"train_decile_0": 0.5})
    assert capsys.readouterr().out == "denoiser 7: held_out_loss 0.2500\n"


def test_only_one_of_several_processes_shows_a_bar(lines: Lines) -> None:
    with StageBar("vae", 3, CPU, shown=False) as bar:
        for step in (1, 2, 3):
            bar.show(taken(step), {})
    assert lines() == []


def test_memory_is_the_peak_of_this_process() -> None:
    before = memory_in_use(CPU)
    assert before is not None
    held = torch.ones(before // 4 + 25_000_000)  # 100 MB more than all there is
    after = memory_in_use(CPU)
    assert after is not None
    assert after >= before + 50_000_000
    del held


def test_where_nobody_counts_memory_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    assert memory_in_use(CPU) is None
