"""`python -m docs.enlarged`: faces that the shipped model makes, and made larger, docs/images/enlarged.png."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddpm_core.cli import run
from ddpm_core.diffusion.samplers import last
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest
from docs.gallery import IMAGES, sheet

FACES = (8, 45, 18, 33)  # seeds, of those in the gallery


def main(
    checkpoint: Annotated[Path, typer.Option(help="checkpoint folder")] = Path("checkpoints/faces-128"),
    enlarger: Annotated[Path, typer.Option(help="checkpoint folder that enlarges")] = Path("checkpoints/faces-x2"),
) -> None:
    """Write docs/images/enlarged.png: above bicubically, below by the checkpoint that enlarges, from the same seeds."""
    model, larger = LatentDiffusion.load(checkpoint), LatentDiffusion.load(enlarger)
    rows: list[list] = [[], []]
    for seed in FACES:
        (face,) = model.pictures(last(model.generate(model.request(GenerateRequest, seed=seed))).latent)
        rows[0].append(larger.enlargement(face).smooth())
        rows[1] += larger.enlarged([face], seed)
    sheet(rows).save(IMAGES / "enlarged.png")


if __name__ == "__main__":
    run(main)
