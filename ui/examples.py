"""What stands on the page at first: pictures that this project's own model made.

`python -m ui.examples --checkpoint checkpoints/faces-128` makes them anew. Everything works without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
import typer
from PIL import Image
from pydantic import ValidationError

from ddpm_core.diffusion.samplers import Step, last
from ddpm_core.images.animation import evenly
from ddpm_core.images.faces import center_box
from ddpm_core.images.files import as_rgb, open_picture, read_parameters, save_png, to_tensor
from ddpm_core.images.masks import FACE_PARTS, dilate
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import BetweenRequest, EditRequest, GenerateRequest, InpaintRequest
from ui.theme import STATIC

FOLDER = STATIC / "examples"
FIRST_SEED, FACES = 226, 2  # in a row that came out well
NEXT_SEED = 17  # what the first press makes, from here on as well
EXAMPLE_SEED = 1  # of the example inpainting
EDIT_SEED = 6  # of the example edit
FAR_SEED = 215  # where the example of a way between two seeds, which begins at the first, ends
FRAMES = 10
BROWS = 0.03  # how much further than the eyes the example's paint reaches, as a fraction of the picture

RequestT = TypeVar("RequestT", bound=GenerateRequest)


def faces() -> list[Path]:
    """The shipped pictures, in order."""
    return sorted(FOLDER.glob("face-*.png"))


def inpainted() -> Path | None:
    """The first shipped picture with its example mask made anew."""
    return _there("inpainted.png")


def edited() -> Path | None:
    """The first shipped picture edited."""
    return _there("edited.png")


def between() -> tuple[list[Image.Image], BetweenRequest | None]:
    """The way between two seeds, picture by picture, and the request that made it."""
    path = _there("between.png")
    return (_cut(open_picture(path), 1)[0], request_in(path, BetweenRequest)) if path else ([], None)


def frames() -> list[list[Image.Image]]:
    """The process of the first shipped picture: [what the model sees, what it believes], frame by frame."""
    path = _there("process.png")
    return _cut(open_picture(path), 2) if path else []


def _there(name: str) -> Path | None:
    path = FOLDER / name
    return path if path.is_file() else None


def _cut(sheet: Image.Image, rows: int) -> list[list[Image.Image]]:
    side = sheet.height // rows
    return [
        [sheet.crop((left, top, left + side, top + side)) for left in range(0, sheet.width, side)]
        for top in range(0, sheet.height, side)
    ]


def _laid(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    side = rows[0][0].width
    sheet = Image.new("RGB", (len(rows[0]) * side, len(rows) * side))
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            sheet.paste(picture, (x * side, y * side))
    return sheet


def mask(size: tuple[int, int]) -> np.ndarray:
    """Bool (H, W), True over the eyes and brows of an aligned face."""
    return dilate(FACE_PARTS["eyes"](*size, center_box(*size)), round(BROWS * size[1]))


def request_of(pictures: Sequence[Path]) -> GenerateRequest | None:
    """The request that made the shipped pictures, from the first one's text; None if it does not say."""
    first = request_in(pictures[0], GenerateRequest) if pictures else None
    return first.model_copy(update={"count": len(pictures)}) if first else None


def request_in(picture: Path, kind: type[RequestT]) -> RequestT | None:
    """The request that a picture's text says it was made by; None if it does not say."""
    parameters = read_parameters(picture)
    try:
        fields = {name: parameters[name] for name in kind.model_fields if name in parameters}
        return kind.model_validate(fields) if fields else None
    except ValidationError:
        return None


def make(checkpoint: Annotated[Path, typer.Option(help="checkpoint folder")] = Path("checkpoints/faces-128")) -> None:
    """Make the shipped example pictures anew."""
    model = LatentDiffusion.load(checkpoint)
    FOLDER.mkdir(parents=True, exist_ok=True)
    request = model.request(GenerateRequest, seed=FIRST_SEED, count=FACES)
    pictures = model.pictures(last(model.generate(request)).latent)
    for i, (picture, one) in enumerate(zip(pictures, request.singles(), strict=True)):
        save_png(picture, FOLDER / f"face-{i}.png", model.png_parameters(one))

    again = model.request(InpaintRequest, seed=EXAMPLE_SEED)
    frame = model.frame(again, as_rgb(pictures[0]), mask(pictures[0].size))
    made = model.pictures(last(model.inpaint(again, frame.image(), frame.mask())).latent)[0]
    save_png(frame.paste(made), FOLDER / "inpainted.png", model.png_parameters(again))

    first = request.singles()[0]
    steps: list[Step] = list(model.generate(first))
    chosen = [steps[i] for i in evenly(len(steps), FRAMES)]
    rows = [
        [model.pictures(latent)[0] for latent in way]
        for way in ([s.latent for s in chosen], [s.denoised for s in chosen])
    ]
    save_png(_laid(rows), FOLDER / "process.png", model.png_parameters(first))
    play(model)
    change(model, pictures[0])


def play(model: LatentDiffusion) -> None:
    """Make the shipped way between two seeds anew."""
    request = model.request(BetweenRequest, seed=FIRST_SEED, to=FAR_SEED)
    pictures = model.pictures(last(model.between(request)).latent)
    save_png(_laid([pictures]), FOLDER / "between.png", model.png_parameters(request))


def change(model: LatentDiffusion, face: Image.Image) -> None:
    """Make the shipped edit of a face anew."""
    request = model.request(EditRequest, seed=EDIT_SEED)
    made = model.pictures(last(model.edit(request, to_tensor(model.square(face)))).latent)[0]
    save_png(made, FOLDER / "edited.png", model.png_parameters(request))


if __name__ == "__main__":
    typer.run(make)
