"""`python -m docs.photograph PHOTO`: parts of a face in a photograph made anew, as in the README.

That one is the portrait of Eileen Collins that scikit-image has among its data (NASA, public domain):

    pip install scikit-image && python -c "from skimage import data, io; io.imsave('photo.png', data.astronaut())"
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddpm_core.cli import fail, run
from ddpm_core.images.crop import box_crop
from ddpm_core.images.faces import Box, find_faces
from ddpm_core.images.files import as_rgb, open_picture
from ddpm_core.images.masks import face_mask
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import InpaintRequest
from docs.gallery import IMAGES, inpainted, sheet, tinted

ROWS = ("mouth", "eyes", "face")  # with which ready-made masks
FILLS = 4
AROUND = 0.6  # of the face's square, shown around it


def main(
    photo: Annotated[Path, typer.Argument(help="photograph with a face in it")],
    checkpoint: Annotated[Path, typer.Option(help="checkpoint folder")] = Path("checkpoints/faces-128"),
) -> None:
    """Write docs/images/photograph.png: the masks, and what is made of them from consecutive seeds."""
    picture = as_rgb(open_picture(photo))
    faces = find_faces(picture)
    if not faces:
        fail(f"no face was found in {photo}, or it fills the picture; take a photo of somebody a little further away.")
    left, top, side = faces[0]
    around = Box(left - round(side * AROUND / 2), top - round(side * AROUND / 2), round(side * (1 + AROUND)))
    model, rows = LatentDiffusion.load(checkpoint), []
    for name in ROWS:
        painted = face_mask(name, picture)
        samples = inpainted(model, picture, painted, model.request(InpaintRequest, seed=1, count=FILLS))
        rows.append([tinted(picture, painted), *samples])
    close = [[box_crop(one, around, around.side) for one in row] for row in rows]
    IMAGES.mkdir(exist_ok=True)
    sheet(close).save(IMAGES / "photograph.png")


if __name__ == "__main__":
    run(main)
