"""How far one training run is, as it is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ui.training.order import Order
from ui.training.process import RESUME, Run

pytestmark = pytest.mark.integration

FAKE = (sys.executable, str(Path(__file__).parents[1] / "fake_training.py"))


PATIENCE = 300  # seconds; an interpreter takes its time to start on a busy machine


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder for checkpoints."""
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


def order(about: str = "", **fields: object) -> Order:
    return Order.of(**{"preset": "tiny", "iterations": 3, "about": about, **fields})


def test_time_left(root: Path) -> None:
    out, now = root / "mine", [100.0]
    (out / "training").mkdir(parents=True)
    log = out / "training" / "vae.jsonl"
    run = Run(out, order(iterations=50), [*FAKE, "--about=refuse", f"--out={out}", "--iterations=50"], lambda: now[0])
    run._end = None  # as if it went on
    log.write_text('{"step": 10, "loss": 1}\n')
    assert "left" not in run.progress().status["text"]  # one look is no pace
    now[0] += 5
    log.write_text('{"step": 10, "loss": 1}\n{"step": 20, "loss": 1, "skipped": 2}\n')
    run.wait(PATIENCE)
    run._end = None
    shown = run.progress().status
    assert shown["text"] == "step 20 of 50 · 15 s left · stage 1 of 2: autoencoder, 2 steps skipped"
    assert shown["percent"] == 20


def test_time_left_of_a_run_gone_on_with_counts_from_its_first_new_step(root: Path) -> None:
    out, now = root / "mine", [100.0]
    (out / "training").mkdir(parents=True)
    log, rows = out / "training" / "vae.jsonl", [f'{{"step": {step}, "loss": 1}}\n' for step in range(1, 22)]
    log.write_text("".join(rows[:10]))
    run = Run(out, order(iterations=50_000), [sys.executable, "-c", "", RESUME], lambda: now[0])
    run.wait(PATIENCE)
    run._end = None  # as if it went on
    assert run.progress().state == "reading"
    now[0] += 900  # it reads the pictures
    log.write_text("".join(rows[:11]))
    assert "left" not in run.progress().status["text"]
    now[0] += 5
    log.write_text("".join(rows[:21]))
    assert run.progress().status["text"].startswith("step 21 of 50000 · 6 h 56 min left · ")
