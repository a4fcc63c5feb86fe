"""`python -m benchmarks`: every claim on speed, measured on this machine.

Example:
    python -m benchmarks --json results.json
    python -m benchmarks --only memory
    python -m benchmarks --faces faces/synthetic --digits mnist.npz --json results.json

What few steps lose is judged by training pictures: with those of faces-128 the claim "steps" gets surer, and with those
of digits there is a claim "digits".

Speeds are ratios between contestants that take turns in one process; seconds stand beside them as a remark.
Benchmarks of quality are commands by themselves: `benchmarks.ablation`, `benchmarks.constraints`,
`benchmarks.locality`, `benchmarks.samplers`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.claims import CLAIMS, with_pictures
from benchmarks.results import Result, Unmeasured, report
from ddpm_core.checkpoint import CheckpointError
from ddpm_core.options import fail, run
from ddpm_core.training.allocator import keep_freed_memory


def main(
    only: Annotated[str | None, typer.Option(help=f"one claim alone: {', '.join(CLAIMS)}, digits")] = None,
    faces: Annotated[Path | None, typer.Option(help="folder or archive that faces-128 was trained on")] = None,
    digits: Annotated[Path | None, typer.Option(help="folder or archive that digits was trained on")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="also write the results to this file")] = None,
) -> None:
    """Measure and print one table of results and targets."""
    claims = CLAIMS | with_pictures(faces, digits)
    if only == "digits" and not digits:
        fail("the claim 'digits' needs the pictures that digits was trained on; name them with --digits.")
    if only is not None and only not in claims:
        fail(f"there is no claim {only!r}; choose from: {', '.join(claims)}.")
    keep_freed_memory()  # as training does; all contestants get it
    results: list[Result] = []
    missing: list[str] = []
    start = time.monotonic()
    for name in [only] if only else claims:
        typer.echo(f"{name} …", err=True)
        try:
            results += claims[name]()
        except (CheckpointError, Unmeasured, OSError, ValueError) as error:  # the others are measured all the same
            missing.append(f"{name}: {error}")
    report(results, json_file)
    typer.echo(f"{(time.monotonic() - start) / 60:.1f} minutes in all.", err=True)
    if missing:
        fail(" ".join(missing))


if __name__ == "__main__":
    run(main)
