"""`python -m benchmarks.enlarge`: is a picture that a checkpoint enlarges more like the original than a smooth one?

Example:
    python -m benchmarks.enlarge --data photos --checkpoint checkpoints/mine --pictures 64

Held-out pictures are reduced and enlarged again: bicubically, by the checkpoint, and, as the most that it could reach,
by its autoencoder from the original. PSNR and the ratio of edge strengths compare each with its original, the patch
distance all with all, finest level first. Detail that is made up costs PSNR (Saharia et al. 2021, section 4.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor
from tqdm import tqdm

from benchmarks.rows import Row, table, write_rows
from ddpm_core.cli import Device, in_one_sentence, run
from ddpm_core.data.find import find
from ddpm_core.data.load import PictureSet, load_pictures
from ddpm_core.diffusion.samplers import last
from ddpm_core.evaluation.distances import sliced_wasserstein
from ddpm_core.images.files import PictureError, to_bytes
from ddpm_core.images.low_resolution import enlarged_bicubically, reduced
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import EnlargeRequest
from ddpm_core.training.reconstruction import gradient_magnitude, psnr

HEADINGS = {"name": "enlarged", "psnr": "PSNR, dB", "edges": "gradient ratio", "patches": "patch distance x 1000"}


def main(
    data: Annotated[Path, typer.Option(help="pictures, as for training; held-out ones are used, or else all")],
    checkpoint: Annotated[Path, typer.Option(help="checkpoint folder that was trained to enlarge")],
    pictures: Annotated[int, typer.Option(min=1, help="pictures at most")] = 64,
    steps: Annotated[int, typer.Option(min=1, max=999, help="reverse steps")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="seed of the first picture")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="also write the rows to this file")] = None,
    device: Device = "auto",
) -> None:
    """Print a table: bicubic, the checkpoint, and its autoencoder's ceiling beside the originals."""
    with in_one_sentence():
        model = LatentDiffusion.load(checkpoint, device)
        found = find(data).sources
        files = found["val"] or found["train"]
        originals = load_pictures(files[:: max(1, len(files) // pictures)][:pictures], model.size)
        rows = list(measured(model, originals, EnlargeRequest(seed=seed, steps=steps)))
        typer.echo(table(rows, HEADINGS))
        if json_file:
            write_rows(json_file, rows)


def measured(model: LatentDiffusion, originals: PictureSet, request: EnlargeRequest) -> Iterator[Row]:
    """A row for each way to enlarge.

    Raises:
        UserError: the checkpoint does not enlarge.
    """
    factor, made = model.enlarging.factor, dict[str, list[Tensor]]()
    ways = ("bicubic", model.name, "autoencoder alone")
    for number, original in enumerate(tqdm(originals.batches(1), total=len(originals), desc="enlarging", disable=None)):
        small = reduced(original, factor)  # (1, 3, S/factor, S/factor)
        one = request.model_copy(update={"seed": request.seed + number})
        with torch.inference_mode():
            enlarged = model.codec.decode(last(model.enlarge(one, small)).latent).cpu()  # (1, 3, S, S)
            restored = model.codec.decode(model.codec.encode(original.to(model.device))).cpu()
        for way, image in zip(ways, (enlarged_bicubically(small, factor), enlarged, restored), strict=True):
            made.setdefault(way, []).append(image.clamp(-1, 1))
    if not made:
        raise PictureError("there is no picture to enlarge; name others with --data.")
    whole = originals.batch(torch.arange(len(originals)))  # (N, 3, S, S)
    sets = {way: torch.cat(images) for way, images in made.items()}
    pixels = [PictureSet(torch.from_numpy(to_bytes(image)).permute(0, 3, 1, 2), []) for image in sets.values()]
    distances = sliced_wasserstein(originals, pixels)
    for (way, image), levels in zip(sets.items(), distances.tolist(), strict=True):
        edges = gradient_magnitude(image).mean() / gradient_magnitude(whole).mean().clamp_min(1e-9)
        patches = ", ".join(f"{level:.1f}" for level in levels)
        yield {"name": way, "psnr": psnr(image, whole).mean().item(), "edges": edges.item(), "patches": patches}


if __name__ == "__main__":
    run(main)
