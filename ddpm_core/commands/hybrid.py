"""`python -m ddpm_core.hybrid`: pictures that are one class from afar and another close by.

Example:
    python -m ddpm_core.hybrid --checkpoint checkpoints/digits --class 8 --other 3 --out near-and-far
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from ddpm_core.cli import CHECKPOINT, Checkpoint, Device, in_one_sentence, output_folder, run, say_written, takes
from ddpm_core.diffusion.illusions import blurred
from ddpm_core.diffusion.samplers import last
from ddpm_core.images.files import save_png, transformed
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import HybridRequest


@takes(HybridRequest)
def main(
    given: dict[str, Any],
    out: Annotated[Path, typer.Option(help="folder to write into")],
    checkpoint: Checkpoint = CHECKPOINT,
    device: Device = "auto",
) -> None:
    """Write OUT/SEED.png for each seed and, as it is seen from afar, OUT/SEED-from-afar.png."""
    with in_one_sentence():
        request = HybridRequest.model_validate(given)
        model = LatentDiffusion.load(checkpoint, device)
        steps = model.hybrid(request)
        output_folder(out)
        written: list[Path] = []
        for one, picture in zip(request.singles(), model.pictures(last(steps).latent), strict=True):
            parameters, other = (
                model.png_parameters(one),
                transformed(picture, partial(blurred, deviation=request.blur)),
            )
            paths = [out / f"{one.seed}.png", out / f"{one.seed}-from-afar.png"]
            save_png(picture, paths[0], parameters)
            save_png(other, paths[1], parameters)
            written += paths
        say_written(written, out)


def command() -> None:
    """The console script `ddpm-hybrid`."""
    run(main)


if __name__ == "__main__":
    command()
