"""`python -m ddpm_core.anagram`: pictures that are one thing as they are and another seen another way.

Example:
    python -m ddpm_core.anagram --checkpoint checkpoints/digits --class 6 --other 9 --view turned-180 --out turned
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ddpm_core.cli import CHECKPOINT, Checkpoint, Device, in_one_sentence, output_folder, run, say_written, takes
from ddpm_core.diffusion.illusions import VIEWS
from ddpm_core.diffusion.samplers import last
from ddpm_core.images.files import save_png, transformed
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import AnagramRequest


@takes(AnagramRequest)
def main(
    given: dict[str, Any],
    out: Annotated[Path, typer.Option(help="folder to write into")],
    checkpoint: Checkpoint = CHECKPOINT,
    device: Device = "auto",
) -> None:
    """Write OUT/SEED.png for each seed and, as it is seen the other way, OUT/SEED-VIEW.png."""
    with in_one_sentence():
        request = AnagramRequest.model_validate(given)
        model = LatentDiffusion.load(checkpoint, device)
        steps = model.anagram(request)
        output_folder(out)
        written: list[Path] = []
        for one, picture in zip(request.singles(), model.pictures(last(steps).latent), strict=True):
            parameters, other = model.png_parameters(one), transformed(picture, VIEWS[request.view].apply)
            paths = [out / f"{one.seed}.png", out / f"{one.seed}-{request.view}.png"]
            save_png(picture, paths[0], parameters)
            save_png(other, paths[1], parameters)
            written += paths
        say_written(written, out)


def command() -> None:
    """The console script `ddpm-anagram`."""
    run(main)


if __name__ == "__main__":
    command()
