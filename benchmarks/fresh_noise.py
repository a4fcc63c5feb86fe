"""`python -m benchmarks.fresh_noise`: where on the way from noise to picture a sampler's fresh noise helps, and how.

Example:
    python -m benchmarks.fresh_noise --checkpoint checkpoints/faces-128 --data faces-aligned.zip --pictures 128

All ways start from the same seeds. *Spread* is the variance of the latents' means over that of held-out pictures':
above 1 tones are too extreme. *Fine power* is likewise the mean square of what low frequencies leave. Patch
distances are to training pictures, over those of as many held-out ones, finest first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from benchmarks.rows import cell, table
from benchmarks.samplers import PATCH_PICTURES, held_out_sets, spread
from ddpm_core.cli import in_one_sentence, run
from ddpm_core.data.load import PictureSet, find_pictures, load_pictures
from ddpm_core.diffusion.guidance import low_frequencies
from ddpm_core.evaluation.distances import sliced_wasserstein
from ddpm_core.evaluation.samples import BATCH, latents_of, pixels_of
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest

SDE, LATER = {"sampler": "sde-dpm-solver++"}, {"steps": 24, "spacing": "power", "exponent": 1.25}
WAYS: dict[str, dict[str, Any]] = {
    "none, 20 steps": {"sampler": "dpm-solver++", "steps": 20},
    "in every step, 20 steps": SDE | {"steps": 20},
    "in every step, 24 steps, more of them late": SDE | LATER,
    "above 200": SDE | LATER | {"noise_above": 200},
    "above 200, first order above 500": SDE | LATER | {"noise_above": 200, "first_order_above": 500},
    "above 200, first order": SDE | LATER | {"noise_above": 200, "first_order_above": 200},
    "above 400, first order": SDE | LATER | {"noise_above": 400, "first_order_above": 400},
    "in every step, first order": SDE | LATER | {"first_order_above": 0},
}
HEADINGS = {"way": "fresh noise", "spread": "spread", "fine": "fine power", "patches": "patch distance / floor"}


def main(
    data: Annotated[Path, typer.Option(help="folder or archive of pictures that the denoiser was trained on")],
    checkpoint: Annotated[Path, typer.Option(help="checkpoint folder")] = Path("checkpoints/faces-128"),
    pictures: Annotated[int, typer.Option(min=8, help="pictures for a row")] = 128,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps, or auto")] = "auto",
) -> None:
    """Print what pictures measure by every way as a table."""
    rows = []
    with in_one_sentence():
        model = LatentDiffusion.load(checkpoint, device)
        files = find_pictures(data)
        training = load_pictures(spread(files["train"], PATCH_PICTURES), model.size)
        held_out = held_out_sets([files["val"]], model.size, pictures)[0]
        floor = sliced_wasserstein(training, [held_out])[0]
        expected = measured(encoded(model, held_out))
        for way, choices in WAYS.items():
            made = list(latents_of(model, pictures, request=GenerateRequest(**choices)))
            found, decoded = measured(torch.cat(made).float()), torch.cat([pixels_of(model, each) for each in made])
            distances = sliced_wasserstein(training, [PictureSet(decoded, [])])[0] / floor
            row = {"way": way, "spread": found[0] / expected[0], "fine": found[1] / expected[1]}
            rows.append(row | {"patches": ", ".join(map(cell, distances.tolist()))})
    typer.echo(table(rows, HEADINGS))


def measured(latent: Tensor) -> tuple[float, float]:
    """Of latents (B, C, h, w) the variance of their means over B, and the power of all but their low frequencies."""
    fine = (latent - low_frequencies(latent)).square().mean()
    return latent.mean((2, 3)).var(0).mean().item(), fine.item()


@torch.inference_mode()
def encoded(model: LatentDiffusion, pictures: PictureSet) -> Tensor:
    """Normalised latents (B, C, h, w)."""
    return torch.cat([model.codec.encode(batch).float() for batch in pictures.batches(BATCH)])


if __name__ == "__main__":
    run(main)
