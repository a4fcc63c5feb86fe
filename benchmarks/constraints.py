"""`python -m benchmarks.constraints`: ways to hold what is kept while inpainting, at equal model calls.

Example:
    python -m benchmarks.constraints --data faces/synthetic --checkpoint a --checkpoint b --calls 40

Held-out pictures are inpainted under random masks, each from two seeds. A fill that goes on from what is kept
differs little from the removed content near the mask's edge (`edge distance`) and makes no seam; how far it
lies from that content elsewhere is reported and no aim, for many fills are right.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.results import Result, report
from ddpm_core.cli import in_one_sentence, run
from ddpm_core.data.load import find_pictures
from ddpm_core.evaluation.fills import measure_fills, some_pictures
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import InpaintRequest

VARIANTS: dict[str, dict[str, Any]] = {
    "clean clamp": {"clamp": "clean", "resamples": 1},
    "clean clamp, ancestral": {"clamp": "clean", "resamples": 1, "sampler": "ddpm"},
    "clean clamp, 2 resamples": {"clamp": "clean", "resamples": 2},
    "noised clamp": {"clamp": "noised", "resamples": 1},
    "RePaint, 2 resamples": {"clamp": "noised", "resamples": 2},
    "RePaint, 4 resamples": {"clamp": "noised", "resamples": 4},
}


def main(
    data: Annotated[Path, typer.Option(help="folder of pictures; the held-out share is inpainted")],
    checkpoint: Annotated[list[Path], typer.Option(help="checkpoint folder; repeat to compare several")],
    calls: Annotated[int, typer.Option(min=4, help="calls of the denoiser per fill")] = 40,
    pictures: Annotated[int, typer.Option(min=1, help="pictures to inpaint, at most")] = 32,
    json_file: Annotated[Path | None, typer.Option("--json", help="also write the results to this file")] = None,
) -> None:
    """Print what fills measure for every way and checkpoint as a table."""
    results = []
    with in_one_sentence():
        files = find_pictures(data)
        chosen = some_pictures(files["val"] or files["train"], pictures)
        for folder in checkpoint:
            model = LatentDiffusion.load(folder)
            for variant, choices in VARIANTS.items():
                steps = 1 + round((calls - 1) / choices.get("resamples", 1))
                request = InpaintRequest(steps=steps, count=2, **choices)
                fills = measure_fills(model, chosen, request)
                for measure in ("edge_distance", "seam_ratio", "fill_distance", "fill_diversity"):
                    results.append(Result(f"{model.name}, {variant}: {measure.replace('_', ' ')}", fills[measure]))
    report(results, json_file)


if __name__ == "__main__":
    run(main)
