"""`python -m benchmarks.constraints`: ways to hold what is kept while inpainting, at equal model calls.

Example:
    python -m benchmarks.constraints --data faces/synthetic --checkpoint a --checkpoint b --calls 12 --region face

Held-out pictures are inpainted under random masks or a ready-made one, from two seeds each. A good fill is near the
removed content at the mask's edge (`edge distance`), makes no seam, and has its tone (`tone off`); farther from the
edge, many fills are right.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.results import Result, report
from ddpm_core.cli import in_one_sentence, run
from ddpm_core.data.load import find_pictures
from ddpm_core.errors import UserError
from ddpm_core.evaluation.fills import measure_fills, some_pictures
from ddpm_core.images.masks import FACE_PARTS
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import InpaintRequest

VARIANTS: dict[str, dict[str, Any]] = {
    "clean clamp": {"clamp": "clean", "resamples": 1},
    "clean clamp, ancestral": {"clamp": "clean", "resamples": 1, "sampler": "ddpm"},
    "clean clamp, 2 resamples": {"clamp": "clean", "resamples": 2},
    "clean clamp, ancestral, 2 resamples": {"clamp": "clean", "resamples": 2, "sampler": "ddpm"},
    "clean clamp, 3 resamples": {"clamp": "clean", "resamples": 3},
    "noised clamp": {"clamp": "noised", "resamples": 1},
    "RePaint, 2 resamples": {"clamp": "noised", "resamples": 2},
    "RePaint, 4 resamples": {"clamp": "noised", "resamples": 4},
    "noised clamp, SDE": {"clamp": "noised", "resamples": 1, "sampler": "sde-dpm-solver++"},
    "RePaint, 2 resamples, SDE": {"clamp": "noised", "resamples": 2, "sampler": "sde-dpm-solver++"},
    "RePaint, 4 resamples, SDE": {"clamp": "noised", "resamples": 4, "sampler": "sde-dpm-solver++"},
}
MEASURES = ("edge_distance", "seam_ratio", "tone_off", "fill_distance", "fill_diversity")


def steps_for(calls: int, choices: dict[str, Any]) -> int:
    """The most steps of at most so many calls: all but the last are taken once for each resample."""
    return 1 + (calls - 1) // choices.get("resamples", 1)


def main(
    data: Annotated[Path, typer.Option(help="folder of pictures; the held-out share is inpainted")],
    checkpoint: Annotated[list[Path], typer.Option(help="checkpoint folder; repeat to compare several")],
    calls: Annotated[int, typer.Option(min=4, help="calls of the denoiser per fill")] = 40,
    region: Annotated[
        str | None,
        typer.Option(  # the second is what it was called before
            "--region", "--part", help=f"what is made anew: {', '.join(FACE_PARTS)}; random masks unless given"
        ),
    ] = None,
    pictures: Annotated[int, typer.Option(min=1, help="pictures to inpaint, at most")] = 32,
    json_file: Annotated[Path | None, typer.Option("--json", help="also write the results to this file")] = None,
) -> None:
    """Print what fills measure for every way and checkpoint as a table."""
    results = []
    with in_one_sentence():
        if region is not None and region not in FACE_PARTS:
            raise UserError(f"there is no ready-made mask {region!r}; choose from: {', '.join(FACE_PARTS)}.")
        files = find_pictures(data)
        chosen = some_pictures(files["val"] or files["train"], pictures)
        for folder in checkpoint:
            model = LatentDiffusion.load(folder)
            for variant, choices in VARIANTS.items():
                request = InpaintRequest(steps=steps_for(calls, choices), count=2, **choices)
                fills = measure_fills(model, chosen, request, region)
                for measure in MEASURES:
                    results.append(Result(f"{model.name}, {variant}: {measure.replace('_', ' ')}", fills[measure]))
    report(results, json_file)


if __name__ == "__main__":
    run(main)
