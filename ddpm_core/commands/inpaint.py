"""`python -m ddpm_core.inpaint`: make part of a picture anew.

Examples:
    python -m ddpm_core.inpaint photo.jpg --region face --count 4 --out filled
    python -m ddpm_core.inpaint photo.jpg --mask mask.png --crop painted --out filled
"""

from __future__ import annotations

import hashlib
from itertools import chain, count
from pathlib import Path
from typing import Annotated, Any

import typer

from ddpm_core.cli import (
    CHECKPOINT,
    Checkpoint,
    Device,
    Mask,
    Region,
    in_one_sentence,
    run,
    say,
    say_written,
    takes,
)
from ddpm_core.commands._results import enlarged_fills, pictures_of
from ddpm_core.images.files import open_picture, read_parameters, save_png
from ddpm_core.images.masks import check_choice, painted_on
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import InpaintRequest


@takes(InpaintRequest)
def main(
    given: dict[str, Any],
    picture: Annotated[Path, typer.Argument(help="picture to change")],
    out: Annotated[Path, typer.Option(help="folder to write into")],
    mask: Mask = None,
    region: Region = None,
    checkpoint: Checkpoint = CHECKPOINT,
    device: Device = "auto",
) -> None:
    """Write OUT/SEED.png for each seed, PICTURE at its own size with the painted part made anew.

    Where a result of another picture lies there, it is OUT/NAME-SEED.png, after PICTURE's name.
    """
    with in_one_sentence():
        check_choice(mask, region)
        original = open_picture(picture)
        painted = painted_on(original, mask, region)
        model = LatentDiffusion.load(checkpoint, device)
        request = model.request(InpaintRequest, **given)
        frame = model.frame(request, original, painted)
        steps = model.inpaint(request, frame.image(), frame.mask())
        pictures = pictures_of(model, request, steps, out)
        digest, written = fingerprint(picture), []
        fills, by = enlarged_fills(model, request, frame, pictures, device)
        for one, fill in zip(request.singles(), fills, strict=True):
            path = result_file(out, one.seed, picture, digest)
            if path.stem != str(one.seed):
                say(f"{path}, since {one.seed}.png is another picture's.")
            save_png(frame.paste(fill), path, model.png_parameters(one) | by | {"picture": digest})
            written.append(path)
        say_written(written, out)


def fingerprint(picture: Path) -> str:
    """What tells results of this file from those of others, without saying its name."""
    with open(picture, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def result_file(out: Path, seed: int, picture: Path, digest: str) -> Path:
    """Where a result belongs: on a former one of the same picture, or where nothing lies yet."""
    names = chain([f"{seed}", f"{picture.stem}-{seed}"], (f"{picture.stem}-{seed}-{i}" for i in count(2)))
    paths = (out / f"{name}.png" for name in names)
    return next(path for path in paths if not path.exists() or read_parameters(path).get("picture") == digest)


def command() -> None:
    """The console script `ddpm-inpaint`."""
    run(main)


if __name__ == "__main__":
    command()
