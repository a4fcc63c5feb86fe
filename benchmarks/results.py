"""What the benchmarks have in common: a result, and how a list of them is shown and written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import typer


@dataclass
class Result:
    """One measured number; `target` says in words what it should be, and `ok` whether it is (None: no target)."""

    name: str
    value: float
    target: str | None = None
    ok: bool | None = None


def report(results: Sequence[Result], json_file: Path | None) -> None:
    """Print results as a table and write them as JSON if a file is given."""
    width = max(len(result.name) for result in results)
    for result in results:
        verdict = "" if result.ok is None else "ok" if result.ok else "MISSED"
        typer.echo(f"{result.name:{width}} {result.value:>12,.4g}  {result.target or '':12} {verdict}".rstrip())
    if json_file:
        json_file.write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n", encoding="utf-8")
