"""`python -m ddpm_core.sample`: make pictures from seeds.

Example:
    python -m ddpm_core.sample --checkpoint checkpoints/faces-128 --seed 0 --count 4 --out samples
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import torch
import typer
from torch import Tensor
from tqdm import tqdm

from ddpm_core.cli import in_one_sentence, run, takes
from ddpm_core.diffusion.samplers import last
from ddpm_core.images.files import contact_sheet, save_png, to_pictures
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import MAX_COUNT, GenerateRequest


@takes(GenerateRequest, without=("count",))
def main(
    given: dict[str, Any],
    out: Annotated[Path, typer.Option(help="folder to write into")],
    checkpoint: Annotated[Path, typer.Option(help="checkpoint folder")] = Path("checkpoints/faces-128"),
    count: Annotated[int, typer.Option(min=1, help="pictures, each with the next seed")] = 1,
    grid: Annotated[Optional[Path], typer.Option(help="also write all pictures as one sheet to this PNG")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps, or auto")] = "auto",
) -> None:
    """Write OUT/SEED.png for each seed; the PNG's text says how it was made."""
    with in_one_sentence():
        first = GenerateRequest.model_validate(given)
        batches = [
            GenerateRequest.model_validate({**given, "seed": first.seed + done, "count": min(MAX_COUNT, count - done)})
            for done in range(0, count, MAX_COUNT)
        ]
        model = LatentDiffusion.load(checkpoint, device)
        images: list[Tensor] = []
        out.mkdir(parents=True, exist_ok=True)
        for batch in tqdm(batches, desc="sampling", unit="batch", disable=len(batches) == 1 or None):
            made = model.codec.decode(last(model.generate(batch)).latent)
            for one, picture in zip(batch.singles(), to_pictures(made), strict=True):
                save_png(picture, out / f"{one.seed}.png", model.png_parameters(one))
            if grid:  # otherwise none has to stay in memory
                images.append(made)
        if grid:
            contact_sheet(torch.cat(images)).save(grid)


if __name__ == "__main__":
    run(main)
