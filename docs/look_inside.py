"""`python -m docs.look_inside`: the README's animation of two views, docs/images/look-inside.gif."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddpm_core.cli import run
from ddpm_core.images.animation import save_gif
from ddpm_core.inspection.beliefs import OWN, beliefs
from ddpm_core.inspection.points import PointsRequest, flight
from ddpm_core.inspection.points_picture import flight_frames
from ddpm_core.inspection.sheet import labelled_sheet
from ddpm_core.pipeline import LatentDiffusion
from docs.gallery import IMAGES

SEED, STEPS, SIDE, SECONDS = 18, 20, 256, 3.0


def main(
    checkpoint: Annotated[Path, typer.Option(help="checkpoint folder")] = Path("checkpoints/faces-128"),
) -> None:
    """Make the animation anew."""
    model = LatentDiffusion.load(checkpoint)
    faces = [one.picture for one in beliefs(model, SEED, STEPS, OWN)]
    points = flight_frames(flight(model, PointsRequest(steps=STEPS)))[1:]
    frames = [
        labelled_sheet([shape, face], [f"points, step {step}", "the picture it expects"], side=SIDE)
        for step, (shape, face) in enumerate(zip(points, faces, strict=True), start=1)
    ]
    save_gif(frames, IMAGES / "look-inside.gif", SECONDS, frames[0].width)


if __name__ == "__main__":
    run(main)
