"""Command lines: how one is called as a process of its own, and what one that was called said and returned."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ALONE = os.environ | {"OMP_NUM_THREADS": "1"}  # for processes of our own: tensors are tiny, threads only fight


@dataclass
class Outcome:
    status: int
    out: str
    err: str


def assert_refused(outcome: Outcome, *words: str) -> None:
    """The command ended with status 2 and one sentence."""
    assert outcome.status == 2
    assert outcome.err.startswith("Error: ")
    assert outcome.err.count("\n") == 1
    for word in words:
        assert word in outcome.err
    assert "Traceback" not in outcome.err + outcome.out


def module(name: str, *arguments: object) -> list[str]:
    """The words that call a command as a process of its own."""
    return [sys.executable, "-m", f"ddpm_core.{name}", *map(str, arguments)]
