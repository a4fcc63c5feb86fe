"""`python -m ddpm_core.compare`: one seed by different settings, as a labelled grid with the time that each took.

Examples:
    python -m ddpm_core.compare --seed 7 --across steps --across-values 2,5,10,20 --down sampler --out grid.png
    python -m ddpm_core.compare photo.jpg --region face --across clamp --down resamples --out grid.png
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from ddpm_core.cli import (
    CHECKPOINT,
    Checkpoint,
    Device,
    Mask,
    Region,
    fields_of,
    in_one_sentence,
    output_file,
    output_folder,
    run,
    say,
    say_written,
    settings_of,
    takes,
)
from ddpm_core.errors import UserError
from ddpm_core.images.files import open_picture, save_png
from ddpm_core.images.masks import check_choice, painted_on
from ddpm_core.inspection.compare import Upload, compare, facts, places, sheet
from ddpm_core.inspection.compare_request import CompareRequest
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest, InpaintRequest


@takes(CompareRequest, GenerateRequest, InpaintRequest, without=("count",))
def main(
    given: dict[str, Any],
    out: Annotated[Path, typer.Option(help="PNG to write")],
    picture: Annotated[Path | None, typer.Argument(help="compare inpaintings of this picture instead")] = None,
    mask: Mask = None,
    region: Region = None,
    checkpoint: Checkpoint = CHECKPOINT,
    device: Device = "auto",
) -> None:
    """Write OUT, a grid of the pictures of one seed by two settings; of inpaintings if PICTURE is given.

    Checkpoints that are compared are named as folders beside that of --checkpoint.
    """
    with in_one_sentence():
        output_file(out, ".png")
        comparison = settings_of(given, CompareRequest)
        upload = None
        kind: type[GenerateRequest] = GenerateRequest
        if picture is not None:
            check_choice(mask, region)
            original = open_picture(picture)
            kind, upload = InpaintRequest, Upload(original, painted_on(original, mask, region))
        elif mask is not None or region is not None:
            raise UserError("a mask or region belongs to an inpainting; name the picture as well.")
        # Says what is wrong with it before anything is made.
        model = LatentDiffusion.load(checkpoint, device)
        base = model.request(kind, **fields_of(kind, given))
        grid = places(comparison, base, checkpoint.name)

        def load(name: str) -> LatentDiffusion:
            return LatentDiffusion.load(checkpoint.parent / name, device)

        output_folder(out.parent)
        say(*model.notes(base))
        made = list(tqdm(compare(grid, load, upload), total=len(grid), desc="comparing", unit="picture", disable=None))
        says = {"action": comparison.action, "checkpoint": checkpoint.name, **base.model_dump(mode="json")}
        says |= comparison.model_dump(mode="json") | {"made": [facts(one, comparison) for one in made]}
        save_png(sheet(comparison, made, title(checkpoint.name, base)), out, says)
        say_written([out])


def title(checkpoint: str, base: GenerateRequest) -> str:
    label = f", class {base.label}" if base.label is not None else ""
    return f"{checkpoint}, seed {base.seed}{label}" + (f", {base.prompt}" if base.prompt else "")


def command() -> None:
    """The console script `ddpm-compare`."""
    run(main)


if __name__ == "__main__":
    command()
