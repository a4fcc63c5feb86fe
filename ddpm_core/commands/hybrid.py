"""`python -m ddpm_core.hybrid`: pictures that are one class from afar and another close by.

Example:
    python -m ddpm_core.hybrid --checkpoint checkpoints/digits --class 8 --other 3 --seed 10 --out hybrid
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from ddpm_core.cli import CHECKPOINT, Checkpoint, Device, in_one_sentence, run, takes
from ddpm_core.commands.anagram import write_pairs
from ddpm_core.diffusion.illusions import blurred
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import HybridRequest


@takes(HybridRequest)
def main(
    given: dict[str, Any],
    out: Annotated[Path, typer.Option(help="folder to write into")],
    checkpoint: Checkpoint = CHECKPOINT,
    device: Device = "auto",
) -> None:
    """Write OUT/SEED.png for each seed and, as it is seen from afar, OUT/SEED-from-afar.png."""
    with in_one_sentence():
        model = LatentDiffusion.load(checkpoint, device)
        request = model.request(HybridRequest, **given)
        view = partial(blurred, deviation=request.blur)
        write_pairs(model, request, model.hybrid(request), view, "from-afar", out)


def command() -> None:
    """The console script `ddpm-hybrid`."""
    run(main)


if __name__ == "__main__":
    command()
