"""`python -m ddpm_core.interpolate`: the pictures between two seeds, or a walk through them as a GIF or MP4.

Examples:
    python -m ddpm_core.interpolate --seed 3 --to 9 --count 8 --out between
    python -m ddpm_core.interpolate --seed 3 --to 9 --count 16 --out walk.mp4
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ddpm_core.cli import (
    CHECKPOINT,
    Checkpoint,
    Device,
    fields_of,
    in_one_sentence,
    output_file,
    run,
    say_written,
    settings_of,
    takes,
)
from ddpm_core.commands._results import pictures_of
from ddpm_core.images.animation import FORMATS, SUFFIXES, there_and_back
from ddpm_core.images.files import save_png
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import BetweenRequest, WalkSettings


@takes(BetweenRequest, WalkSettings, without=("format",))
def main(
    given: dict[str, Any],
    out: Annotated[Path, typer.Option(help="folder to write into; or, by its suffix, a GIF or MP4")],
    checkpoint: Checkpoint = CHECKPOINT,
    device: Device = "auto",
) -> None:
    """Write OUT/NUMBER.png for each picture on the way from --seed to --to, or OUT, a walk there and back."""
    with in_one_sentence():
        shown, moving = settings_of(given, WalkSettings), bool(out.suffix)
        if moving and not out.is_dir():
            output_file(out, *SUFFIXES)
        model = LatentDiffusion.load(checkpoint, device)
        request = model.request(BetweenRequest, **fields_of(BetweenRequest, given))
        steps = model.between(request)
        pictures = pictures_of(model, request, steps, out.parent if moving else out)
        if moving:
            FORMATS[out.suffix[1:].lower()](there_and_back(pictures), out, shown.seconds, shown.size)
            say_written([out])
            return
        paths = [out / f"{number:02d}.png" for number in range(len(pictures))]
        for path, one, picture in zip(paths, request.singles(), pictures, strict=True):
            save_png(picture, path, model.png_parameters(one))
        say_written(paths, out)


def command() -> None:
    """The console script `ddpm-interpolate`."""
    run(main)


if __name__ == "__main__":
    command()
