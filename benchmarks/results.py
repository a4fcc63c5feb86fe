"""What the benchmarks have in common: a result, and how results are shown and written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from ddpm_core.errors import UserError


class Unmeasured(UserError):
    """A claim that cannot be measured here; the message says what to do."""


@dataclass
class Result:
    """One measured number; `target` says in words what it should be, `ok` whether it is (None: no target)."""

    name: str
    value: float
    target: str | None = None
    ok: bool | None = None

    @classmethod
    def at_least(cls, name: str, value: float, minimum: float) -> Result:
        """A number that should not be smaller than `minimum`."""
        return cls(name, value, f">= {minimum:,.4g}", value >= minimum)

    @classmethod
    def at_most(cls, name: str, value: float, maximum: float) -> Result:
        """A number that should not be larger than `maximum`."""
        return cls(name, value, f"<= {maximum:,.4g}", value <= maximum)


def report(results: Sequence[Result], json_file: Path | None) -> None:
    """Print results as a table and write them as JSON if a file is given."""
    width = max((len(result.name) for result in results), default=0)
    for result in results:
        verdict = "" if result.ok is None else "ok" if result.ok else "MISSED"
        typer.echo(f"{result.name:{width}} {result.value:>12,.4g}  {result.target or '':12} {verdict}".rstrip())
    if json_file:
        json_file.write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n", encoding="utf-8")
