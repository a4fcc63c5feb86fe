"""`python -m benchmarks`: every claim that needs no pictures of one's own, measured on this machine.

Example:
    python -m benchmarks --only memory --json results.json

Speeds are ratios of contestants that take turns in one process. What trains, takes long or needs pictures is a command
by itself: `benchmarks.ablation`, `as_asked`, `constraints`, `locality`, `samplers`, `streaming`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.claims import CLAIMS
from benchmarks.results import Result, report
from ddpm_core.cli import fail, run
from ddpm_core.errors import UserError
from ddpm_core.machine import keep_freed_memory


def main(
    only: Annotated[str | None, typer.Option(help=f"one claim alone: {', '.join(CLAIMS)}")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="also write the results to this file")] = None,
) -> None:
    """Measure and print one table of results and targets."""
    if only is not None and only not in CLAIMS:
        fail(f"there is no claim {only!r}; choose from: {', '.join(CLAIMS)}.")
    keep_freed_memory()  # as training does; all contestants get it
    results: list[Result] = []
    missing: list[str] = []
    start = time.monotonic()
    for name in [only] if only else CLAIMS:
        typer.echo(f"{name} …", err=True)
        try:
            results += CLAIMS[name]()
        except (UserError, OSError) as error:  # the others are measured all the same
            missing.append(f"{name}: {error}")
    report(results, json_file)
    typer.echo(f"{(time.monotonic() - start) / 60:.1f} minutes in all.", err=True)
    if missing:
        fail(" ".join(missing))


if __name__ == "__main__":
    run(main)
