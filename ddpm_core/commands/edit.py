"""`python -m ddpm_core.edit`: make a picture anew from a noised version of itself (SDEdit).

Example:
    python -m ddpm_core.edit photo.jpg --strength 0.6 --out edited.png
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ddpm_core.cli import (
    CHECKPOINT,
    Checkpoint,
    Device,
    in_one_sentence,
    output_file,
    run,
    takes,
)
from ddpm_core.commands._results import pictures_of, write_one
from ddpm_core.images.files import open_picture, to_tensor
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import EditRequest


@takes(EditRequest, without=("count",))
def main(
    given: dict[str, Any],
    picture: Annotated[Path, typer.Argument(help="picture to change: the square in its middle, or the face in it")],
    out: Annotated[Path, typer.Option(help="PNG to write")],
    checkpoint: Checkpoint = CHECKPOINT,
    device: Device = "auto",
) -> None:
    """Write OUT, PICTURE's face, or the square in its middle, made anew at the model's size."""
    with in_one_sentence():
        output_file(out, ".png")
        original = open_picture(picture)
        model = LatentDiffusion.load(checkpoint, device)
        request = model.request(EditRequest, **given)
        steps = model.edit(request, to_tensor(model.square(original)))
        made, *_ = pictures_of(model, request, steps, out.parent)
        write_one(model, request, made, out)


def command() -> None:
    """The console script `ddpm-edit`."""
    run(main)


if __name__ == "__main__":
    command()
