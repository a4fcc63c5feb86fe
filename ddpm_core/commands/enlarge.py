"""`python -m ddpm_core.enlarge`: make a picture larger, with detail that goes with it (SR3).

Example:
    python -m ddpm_core.enlarge small.png --out large.png
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ddpm_core.checkpoints.folders import list_checkpoints, needed_to_enlarge
from ddpm_core.cli import (
    CHECKPOINT,
    Device,
    in_one_sentence,
    output_file,
    run,
    takes,
)
from ddpm_core.commands._results import pictures_of, write_one
from ddpm_core.images.files import open_picture
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import EnlargeRequest


@takes(EnlargeRequest, without=("count",))
def main(
    given: dict[str, Any],
    picture: Annotated[Path, typer.Argument(help="picture to enlarge")],
    out: Annotated[Path, typer.Option(help="PNG to write")],
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="checkpoint folder, or user/name[@revision] on the Hugging Face Hub, that was trained to enlarge; the "
            f"first in {CHECKPOINT.parent}/ unless given"
        ),
    ] = None,
    device: Device = "auto",
) -> None:
    """Write OUT, the whole of PICTURE, as many times larger as the checkpoint was trained for."""
    with in_one_sentence():
        output_file(out, ".png")
        original = open_picture(picture)
        model = LatentDiffusion.load(checkpoint or first_that_enlarges(CHECKPOINT.parent), device)
        request = model.request(EnlargeRequest, **given)
        sheet = model.enlargement(original)
        steps = model.enlarge(request, sheet.image())
        made, *_ = pictures_of(model, request, steps, out.parent)
        write_one(model, request, sheet.cut(made), out)


def first_that_enlarges(root: Path) -> Path:
    """The first checkpoint in a folder that enlarges. Raises `CheckpointError` where there is none."""
    checkpoints = {name: root / name for name in list_checkpoints(root)}
    return root / needed_to_enlarge(checkpoints, None, f"in {root}", "name one with --checkpoint, or ")[0]


def command() -> None:
    """The console script `ddpm-enlarge`."""
    run(main)


if __name__ == "__main__":
    command()
