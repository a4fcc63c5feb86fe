"""Ctrl+C and polite kills, inside the process that gets them."""

from __future__ import annotations

import os
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest

from ddpm_core.commands import train
from ddpm_core.training.interruption import STOP_SIGNALS, Interruption, Stop, how_to_go_on, stop_on_signals
from ddpm_core.training.stages.vae import VaeStage
from tests.runs import flags


@pytest.mark.integration
def test_what_signals_did_before_they_do_after(call, photos: Path, tmp_path: Path) -> None:
    wanted = {number: (lambda *_: None) if number != signal.SIGHUP else signal.SIG_IGN for number in STOP_SIGNALS}
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        assert call(train.main, *flags(photos, tmp_path / "run", "--stage", "vae", steps=1)).status == 0
        assert {number: signal.getsignal(number) for number in STOP_SIGNALS} == wanted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.integration
def test_a_hangup_that_nohup_ignores_stays_ignored(
    call, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate = VaeStage.evaluate

    def hung_up(*arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGHUP)
        return evaluate(*arguments)

    monkeypatch.setattr(VaeStage, "evaluate", hung_up)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        outcome = call(train.main, *flags(photos, tmp_path / "run", "--stage", "vae", "--sample-every", 1))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert "Done" in outcome.out


def test_the_command_to_go_on_is_quoted_and_resumes_once() -> None:
    line = how_to_go_on("ddpm_core.train", ["--out", "my run", "--resume", "--about", "it's"])
    assert line.startswith("python -m ddpm_core.train ")
    assert shlex.split(line)[3:] == ["--out", "my run", "--about", "it's", "--resume"]


def test_before_there_is_anything_to_save_the_first_signal_ends_the_work_and_further_ones_let_it_clean_up() -> None:
    stop, cleaned = Stop(), False
    with stop_on_signals(stop):
        with pytest.raises(Interruption):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)  # an impatient second one
        cleaned = True
    assert stop.requested
    assert cleaned


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_with_something_to_save_a_signal_is_noted_and_the_step_goes_on(number: signal.Signals) -> None:
    stop = Stop()
    with stop_on_signals(stop):
        stop.wait()
        assert not stop.requested
        os.kill(os.getpid(), number)
        assert stop.requested


def test_handlers_are_put_back_after_an_interruption_too() -> None:
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    with pytest.raises(Interruption), stop_on_signals(Stop()):
        os.kill(os.getpid(), signal.SIGINT)
    assert {number: signal.getsignal(number) for number in STOP_SIGNALS} == before


def test_an_interruption_is_no_exception_that_a_library_would_swallow() -> None:
    assert not issubclass(Interruption, Exception)
