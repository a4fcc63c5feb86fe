"""`python -m ddpm_core.evaluate`: measure a checkpoint on held-out pictures.

Example:
    python -m ddpm_core.evaluate --checkpoint checkpoints/faces-128 --data photos --json measures.json
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Optional

import numpy as np
import torch
import typer

from ddpm_core import metrics
from ddpm_core.checkpoint import CheckpointError
from ddpm_core.data import find_pictures, load_pictures
from ddpm_core.inpainting import random_regions
from ddpm_core.options import fail, run
from ddpm_core.pictures import PictureError, open_picture
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.samplers import last
from ddpm_core.schema import InpaintRequest

MEANING = {
    "pictures": "held-out pictures measured",
    "psnr": "reconstruction, dB (mean over pictures)",
    "gradient_ratio": "edge strength, reconstructed / original",
    "locality_radius": "pixels beyond its own square that one latent cell can change",
    "locality_3x3": "share of the squared change within 3x3 cells",
    "kept_max_diff": "largest change of a kept pixel after inpainting, of 255",
}


def main(
    data: Annotated[Path, typer.Option(help="folder of pictures; its held-out share is measured")],
    checkpoint: Annotated[Path, typer.Option(help="checkpoint folder")] = Path("checkpoints/faces-128"),
    json_file: Annotated[Optional[Path], typer.Option("--json", help="also write the measures to this file")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps, or auto")] = "auto",
) -> None:
    """Print what the checkpoint measures on held-out pictures as a table."""
    try:
        model = LatentDiffusion.load(checkpoint, device)
        files = find_pictures(data)
        paths = files["val"] or files["train"]
        measures = measure(model, paths)
        if json_file:
            json_file.write_text(json.dumps(measures, indent=2) + "\n", encoding="utf-8")
    except (CheckpointError, PictureError, OSError, ValueError) as error:
        fail(str(error))
    for name, value in measures.items():
        typer.echo(f"{name:16} {value:>9.4g}  {MEANING[name]}")


def measure(model: LatentDiffusion, paths: list[Path]) -> dict[str, float]:
    """All measures of a model on picture files, by name."""
    pictures = load_pictures(paths, model.size)
    local = metrics.locality(model.codec, pictures.batch(torch.arange(min(16, len(pictures)))))
    return {
        "pictures": len(pictures),
        "psnr": metrics.reconstruction_psnr(model.codec, pictures),
        "gradient_ratio": metrics.gradient_ratio(model.codec, pictures),
        "locality_radius": local.radius,
        "locality_3x3": local.within_3x3,
        "kept_max_diff": kept_max_diff(model, paths[:8]),
    }


def kept_max_diff(model: LatentDiffusion, paths: list[Path], seed: int = 0) -> int:
    """Inpaint picture files at their own size under random masks; the largest difference, of 255, of a kept pixel."""
    worst = 0
    for number, path in enumerate(paths):
        picture = open_picture(path)
        torch.manual_seed(seed + number)
        painted = random_regions(1, picture.height, picture.width)[0, 0].numpy()
        request = InpaintRequest(seed=seed + number, steps=4)
        frame = model.frame(request, picture, painted)
        made = model.pictures(last(model.inpaint(request, frame.image(), frame.keep())).latent)[0]
        change = np.abs(np.asarray(frame.paste(made), dtype=int) - np.asarray(picture, dtype=int))
        worst = max(worst, int(change[~painted].max(initial=0)))
    return worst


if __name__ == "__main__":
    run(main)
