"""What stands on the page before anyone has pressed anything: pictures this project's own model made.

`python -m ui.examples --checkpoint checkpoints/faces-128` makes them anew. Everything works without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image
from pydantic import ValidationError

from ddpm_core.pictures import as_rgb, open_picture, read_parameters, save_png
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.samplers import Step, last
from ddpm_core.schema import GenerateRequest, InpaintRequest
from ui.results import evenly

FOLDER = Path(__file__).resolve().parent.parent / "static" / "examples"
FIRST_SEED, FACES = 36, 4  # four in a row that came out well
EXAMPLE_SEED = 0  # of the example inpainting
FRAMES = 10


def faces() -> list[Path]:
    """The shipped pictures, in order."""
    return sorted(FOLDER.glob("face-*.png"))


def inpainted() -> Path | None:
    """The first shipped picture with its example mask made anew."""
    path = FOLDER / "inpainted.png"
    return path if path.is_file() else None


def frames() -> list[list[Image.Image]]:
    """The process of the first shipped picture: [what the model sees, what it believes], frame by frame."""
    path = FOLDER / "process.png"
    if not path.is_file():
        return []
    sheet = open_picture(path)
    side = sheet.height // 2
    return [
        [sheet.crop((left, top, left + side, top + side)) for left in range(0, sheet.width, side)] for top in (0, side)
    ]


def mask(size: tuple[int, int]) -> np.ndarray:
    """An example of something painted, bool (H, W): an ellipse over the eyes of an aligned face."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    return ((x / width - 0.48) / 0.26) ** 2 + ((y / height - 0.45) / 0.12) ** 2 < 1


def request_of(pictures: Sequence[Path]) -> GenerateRequest | None:
    """The request that made the shipped pictures, from the first one's text; None if it does not say."""
    if not pictures:
        return None
    said = read_parameters(pictures[0])
    try:
        known = {name: said[name] for name in GenerateRequest.model_fields if name in said}
        return GenerateRequest.model_validate({**known, "count": len(pictures)}) if known else None
    except ValidationError:
        return None


def make(checkpoint: Annotated[Path, typer.Option(help="checkpoint folder")] = Path("checkpoints/faces-128")) -> None:
    """Make the shipped example pictures anew."""
    model = LatentDiffusion.load(checkpoint)
    FOLDER.mkdir(parents=True, exist_ok=True)
    request = GenerateRequest(seed=FIRST_SEED, count=FACES)
    pictures = model.pictures(last(model.generate(request)).latent)
    for i, (picture, one) in enumerate(zip(pictures, request.singles(), strict=True)):
        save_png(picture, FOLDER / f"face-{i}.png", model.parameters(one))

    again = InpaintRequest(seed=EXAMPLE_SEED)
    frame = model.frame(again, as_rgb(pictures[0]), mask(pictures[0].size))
    made = model.pictures(last(model.inpaint(again, frame.image(), frame.keep())).latent)[0]
    save_png(frame.paste(made), FOLDER / "inpainted.png", model.parameters(again))

    first = request.singles()[0]
    steps: list[Step] = list(model.generate(first))
    kept = [steps[i] for i in evenly(len(steps), FRAMES)]
    sheet = Image.new("RGB", (FRAMES * model.size, 2 * model.size))
    for i, step in enumerate(kept):
        for row, latent in enumerate((step.latent, step.denoised)):
            sheet.paste(model.pictures(latent)[0], (i * model.size, row * model.size))
    save_png(sheet, FOLDER / "process.png", model.parameters(first))


if __name__ == "__main__":
    typer.run(make)
