"""`python -m tests.load`: fifty visitors for five minutes, with pictures of 24 megapixels.

Example:
    python -m tests.load --visitors 50 --seconds 300 --checkpoint checkpoints/faces-128
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from ddpm_core.cli import fail, run
from tests.load.load import load
from tests.visitor import running


def main(
    visitors: Annotated[int, typer.Option(min=1, help="how many come at once")] = 50,
    seconds: Annotated[float, typer.Option(min=5, help="for how long")] = 300.0,
    width: Annotated[int, typer.Option(min=32, help="of their pictures, pixels")] = 6000,
    height: Annotated[int, typer.Option(min=32, help="of their pictures, pixels")] = 4000,
    pause: Annotated[float, typer.Option(min=0, help="between a picture and the next request, seconds")] = 5.0,
    checkpoint: Annotated[Path, typer.Option(help="checkpoint folder")] = Path("checkpoints/faces-128"),
) -> None:
    """Load a real app process, and print what became of it."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with running(checkpoint, place, "--trust-proxy", "127.0.0.1") as app:
            report = load(app, place, visitors, seconds, (width, height), pause)
    typer.echo(report.table(seconds))
    if report.errors:
        fail(f"{len(report.errors)} requests ended in something else than a picture or an announced refusal.")


if __name__ == "__main__":
    run(main)
