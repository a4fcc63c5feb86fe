"""`python -m docs.gallery`: the first picture of the README, docs/images/gallery.png, made by the shipped model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from ddpm_core.cli import run
from ddpm_core.commands._results import enlarged_fills
from ddpm_core.diffusion.samplers import last
from ddpm_core.images.masks import face_mask
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest, InpaintRequest

IMAGES = Path(__file__).resolve().parent / "images"
PAINT = np.array((15, 118, 110))
FACES = (5, 8, 45, 41, 18, 19, 33, 31)  # seeds, chosen from the 64 in the model card
ROWS = ("face", "background", "mouth")  # with which ready-made masks
FILLS = 6


def main(
    checkpoint: Annotated[Path, typer.Option(help="checkpoint folder")] = Path("checkpoints/faces-128"),
) -> None:
    """Make the picture anew."""
    model = LatentDiffusion.load(checkpoint)
    faces = [
        model.pictures(last(model.generate(model.request(GenerateRequest, seed=seed))).latent)[0] for seed in FACES
    ]
    rows, face = [faces], faces[0]
    for name in ROWS:
        painted = face_mask(name, face)
        fills = inpainted(model, face, painted, model.request(InpaintRequest, seed=1, count=FILLS))
        rows.append([face, tinted(face, painted), *fills])
    sheet(rows).save(IMAGES / "gallery.png")


def inpainted(
    model: LatentDiffusion, picture: Image.Image, painted: np.ndarray, request: InpaintRequest
) -> list[Image.Image]:
    """The picture at its own size, filled once per seed."""
    frame = model.frame(request, picture, painted)
    samples = model.pictures(last(model.inpaint(request, frame.image(), frame.mask())).latent)
    fills, _ = enlarged_fills(model, request, frame, samples)
    return [frame.paste(one) for one in fills]


def tinted(picture: Image.Image, painted: np.ndarray) -> Image.Image:
    """The picture with paint on it."""
    pixels = np.asarray(picture)
    mixed = (0.35 * pixels + 0.65 * PAINT).astype(np.uint8)
    return Image.fromarray(np.where(painted[:, :, None], mixed, pixels))


def sheet(rows: list[list[Image.Image]], gap: int = 4) -> Image.Image:
    """Pictures of one size in rows, on white."""
    side = rows[0][0].width
    width, height = (n * (side + gap) - gap for n in (max(map(len, rows)), len(rows)))
    canvas = Image.new("RGB", (width, height), "white")
    for top, row in enumerate(rows):
        for left, picture in enumerate(row):
            canvas.paste(picture, (left * (side + gap), top * (side + gap)))
    return canvas


if __name__ == "__main__":
    run(main)
