"""What a command line that was called said and returned."""

from __future__ import annotations

from dataclasses import dataclass


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
