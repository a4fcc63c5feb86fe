"""`python -m ddpm_core.sample`: make pictures from seeds.

Example:
    python -m ddpm_core.sample --checkpoint checkpoints/faces-128 --seed 0 --count 4 --out samples
"""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from ddpm_core.cli import (
    CHECKPOINT,
    Checkpoint,
    Device,
    in_one_sentence,
    output_file,
    output_folder,
    run,
    say,
    say_written,
    takes,
)
from ddpm_core.diffusion.samplers import last
from ddpm_core.display.progress_bar import steps_watched
from ddpm_core.errors import UserError
from ddpm_core.images.files import contact_sheet, save_png, to_pictures
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import MAX_COUNT, GenerateRequest


@takes(GenerateRequest, without=("count",))
def main(
    given: dict[str, Any],
    out: Annotated[Path, typer.Option(help="folder to write into")],
    checkpoint: Checkpoint = CHECKPOINT,
    count: Annotated[int, typer.Option(min=1, help="pictures, each with the next seed")] = 1,
    grid: Annotated[Path | None, typer.Option(help="also write all pictures as one sheet to this PNG or JPEG")] = None,
    device: Device = "auto",
) -> None:
    """Write OUT/SEED.png for each seed; the PNG's text says how it was made."""
    with in_one_sentence():
        if grid:
            output_file(grid, ".png", ".jpg", ".jpeg")
        model = LatentDiffusion.load(checkpoint, device)
        first = model.request(GenerateRequest, **given)
        batches = [
            model.request(GenerateRequest, **given | {"seed": first.seed + done, "count": min(MAX_COUNT, count - done)})
            for done in range(0, count, MAX_COUNT)
        ]
        runs = [model.generate(batch) for batch in batches]  # which refuse what cannot be made before a line is shown
        if grid and grid.resolve() in {(out / f"{seed}.png").resolve() for batch in batches for seed in batch.seeds}:
            raise UserError(f"{grid} is where one of the pictures goes; name another file for the sheet of them.")
        for folder in (out, grid.parent) if grid else (out,):
            output_folder(folder)
        say(*model.notes(first))
        images: list[Tensor] = []
        written: list[Path] = []
        every = ((batch, step) for batch, steps in zip(batches, runs, strict=True) for step in steps)
        watched = steps_watched(every, sum(batch.calls for batch in batches))
        for batch, steps in groupby(watched, itemgetter(0)):
            image = model.codec.decode(last(step for _, step in steps).latent)  # (B, 3, H, W)
            for one, picture in zip(batch.singles(), to_pictures(image), strict=True):
                written.append(out / f"{one.seed}.png")
                save_png(picture, written[-1], model.png_parameters(one))
            if grid:  # otherwise none has to stay in memory
                images.append(image)
        if grid:
            contact_sheet(torch.cat(images)).save(grid)
        say_written(written, out)
        if grid:
            say_written([grid])


def command() -> None:
    """The console script `ddpm-sample`."""
    run(main)


if __name__ == "__main__":
    command()
