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
    seen = looks(folder / "training")
    if not seen:
        fail(f"there are no grids in {folder / 'training'}; name the folder of a training run.")
    wanted = [float(minute) for minute in minutes.split(",")]
    chosen = [max((look for look in seen if look[0] <= minute), default=seen[0]) for minute in wanted]
    end = seen[-1][0]
    figure = Figure(figsize=(SIDE * len(chosen), SIDE), layout="constrained")
    for place, (minute, (_, step, grid)) in enumerate(zip(wanted, chosen, strict=True), start=1):
        axes = figure.add_subplot(1, len(chosen), place)
        axes.imshow(Image.open(grid))
        axes.set_axis_off()
        axes.set_title(f"{minute:g} minutes: step {step:,}" if minute < end else f"{end:.0f} minutes: the end")
    figure.savefig(out, dpi=120, bbox_inches="tight")
    for minute, step, grid in seen:
        typer.echo(f"{minute:5.1f} min  step {step:6,}  {grid.name}")


def looks(notes: Path) -> list[tuple[float, int, Path]]:
    """Minutes since the run began, step and file of every grid, in order of time."""
    begun = min((path.stat().st_mtime for stage in STAGES if (path := notes / f"{stage}.json").exists()), default=0.0)
    grids = [(step, grid) for stage in STAGES for step, grid in grids_of(notes, stage).items()]
    return sorted(((grid.stat().st_mtime - begun) / 60, step, grid) for step, grid in grids)


if __name__ == "__main__":
    run(main)
