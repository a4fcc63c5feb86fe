"""`python -m docs.tutorial checkpoints/my-digits`: what a training run looked like after so many minutes, side by side.

Reads the grids that the run left in its `training/` folder; it has to have gone through without a stop.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from matplotlib.figure import Figure
from PIL import Image

from ddpm_core.cli import fail, run
from ddpm_core.training.record.journal import grids_of

STAGES = ("vae", "denoiser")
SIDE = 3.2  # inches of a grid


def main(
    folder: Annotated[Path, typer.Argument(help="checkpoint folder of the run")],
    minutes: Annotated[str, typer.Option(help="when to look, by commas")] = "2,5,10,20",
    out: Annotated[Path, typer.Option(help="PNG to write")] = Path("docs/images/training-digits.png"),
) -> None:
    """Put the newest grid of each minute side by side; a minute after the end shows the end."""
    grids = sample_grids(folder / "training")
    if not grids:
        fail(f"there are no grids in {folder / 'training'}; name the folder of a training run.")
    marks = [float(minute) for minute in minutes.split(",")]
    chosen = [max((entry for entry in grids if entry[0] <= minute), default=grids[0]) for minute in marks]
    end = grids[-1][0]
    figure = Figure(figsize=(SIDE * len(chosen), SIDE), layout="constrained")
    for column, (minute, (_, step, grid)) in enumerate(zip(marks, chosen, strict=True), start=1):
        axes = figure.add_subplot(1, len(chosen), column)
        axes.imshow(Image.open(grid))
        axes.set_axis_off()
        axes.set_title(f"{minute:g} minutes: step {step:,}" if minute < end else f"{end:.0f} minutes: the end")
    figure.savefig(out, dpi=120, bbox_inches="tight")
    for minute, step, grid in grids:
        typer.echo(f"{minute:5.1f} min  step {step:6,}  {grid.name}")


def sample_grids(notes: Path) -> list[tuple[float, int, Path]]:
    """Minutes since the run began, step and file of every grid, in order of time."""
    start = min((path.stat().st_mtime for stage in STAGES if (path := notes / f"{stage}.json").exists()), default=0.0)
    grids = [(step, grid) for stage in STAGES for step, grid in grids_of(notes, stage).items()]
    return sorted(((grid.stat().st_mtime - start) / 60, step, grid) for step, grid in grids)


if __name__ == "__main__":
    run(main)
