"""`python -m docs.gallery`: the pictures of the README, made by the shipped model.

Example:
    python -m docs.gallery --photo astronaut.png

writes docs/images/gallery.png and, if a photo is given, docs/images/photo.png.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import numpy as np
import typer
from PIL import Image

from ddpm_core.options import run
from ddpm_core.pictures import as_rgb, open_picture
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.regions import READY, ellipse
from ddpm_core.samplers import last
from ddpm_core.schema import GenerateRequest, InpaintRequest

IMAGES = Path(__file__).resolve().parent / "images"
PAINT = np.array((15, 118, 110))
FACES = 40  # seeds; seven rows of eight are shown in the model card, the first eight from here on in the README
ROWS = ("face", "background", "mouth")  # ready-made masks, one for each row of fills
FILLS = 6
# The face and the sky behind it in scikit-image's `astronaut` (NASA, public domain), shares of its square.
PHOTO = {"face": ellipse(0.435, 0.215, 0.1, 0.14), "patch": ellipse(0.33, 0.93, 0.1, 0.06)}


def main(
    checkpoint: Annotated[Path, typer.Option(help="checkpoint folder")] = Path("checkpoints/faces-128"),
    photo: Annotated[Optional[Path], typer.Option(help="scikit-image's astronaut.png, 512x512")] = None,
) -> None:
    """Make the pictures anew."""
    model = LatentDiffusion.load(checkpoint)
    request = GenerateRequest(seed=FACES, count=8)
    faces = model.pictures(last(model.generate(request)).latent)
    rows = [faces]
    for face, name in zip(faces, ROWS, strict=False):
        painted = READY[name](*face.size)
        fills = inpainted(model, face, painted, InpaintRequest(seed=1, count=FILLS))
        rows.append([face, tinted(face, painted), *fills])
    sheet(rows).save(IMAGES / "gallery.png")
    if photo:
        picture = as_rgb(open_picture(photo))
        row = [picture]
        for region in PHOTO.values():
            painted = region(*picture.size)
            fill = inpainted(model, picture, painted, InpaintRequest(seed=1, crop="painted"))[0]
            row += [tinted(picture, painted), fill]
        sheet([row]).save(IMAGES / "photo.png")


def inpainted(
    model: LatentDiffusion, picture: Image.Image, painted: np.ndarray, request: InpaintRequest
) -> list[Image.Image]:
    """The picture at its own size, filled once per seed."""
    frame = model.frame(request, picture, painted)
    made = model.pictures(last(model.inpaint(request, frame.image(), frame.keep())).latent)
    return [frame.paste(one) for one in made]


def tinted(picture: Image.Image, painted: np.ndarray) -> Image.Image:
    """The picture with paint on it."""
    pixels = np.asarray(picture)
    mixed = (0.35 * pixels + 0.65 * PAINT).astype(np.uint8)
    return Image.fromarray(np.where(painted[:, :, None], mixed, pixels))


def sheet(rows: list[list[Image.Image]], gap: int = 4) -> Image.Image:
    """Pictures of one size in rows, on white."""
    side = rows[0][0].width
    width, height = (n * (side + gap) - gap for n in (max(map(len, rows)), len(rows)))
    whole = Image.new("RGB", (width, height), "white")
    for top, row in enumerate(rows):
        for left, picture in enumerate(row):
            whole.paste(picture, (left * (side + gap), top * (side + gap)))
    return whole


if __name__ == "__main__":
    run(main)
