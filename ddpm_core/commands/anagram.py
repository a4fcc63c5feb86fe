"""`python -m ddpm_core.anagram`: pictures that are one thing as they are and another seen another way.

Example:
    python -m ddpm_core.anagram --checkpoint checkpoints/digits --class 6 --other 9 --view turned-180 --out turned
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from torch import Tensor

from ddpm_core.cli import CHECKPOINT, Checkpoint, Device, in_one_sentence, run, say, say_written, takes
from ddpm_core.commands._results import pictures_of
from ddpm_core.diffusion.illusions import VIEWS
from ddpm_core.diffusion.samplers import Step
from ddpm_core.images.files import save_png, transformed
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import AnagramRequest, PairRequest


@takes(AnagramRequest)
def main(
    given: dict[str, Any],
    out: Annotated[Path, typer.Option(help="folder to write into")],
    checkpoint: Checkpoint = CHECKPOINT,
    device: Device = "auto",
) -> None:
    """Write OUT/SEED.png for each seed and, as it is seen the other way, OUT/SEED-VIEW.png."""
    with in_one_sentence():
        model = LatentDiffusion.load(checkpoint, device)
        request = model.request(AnagramRequest, **given)
        if not request.names_a_thing and (model.classes or model.words):
            ways = ["--class and --other"] * bool(model.classes) + ["--prompt and --other-prompt"] * bool(model.words)
            say(f"Nothing is named, so it may be anything {model.name} knows either way; {' or '.join(ways)} name two.")
        write_pairs(model, request, model.anagram(request), VIEWS[request.view].apply, request.view, out)


def write_pairs(
    model: LatentDiffusion,
    request: PairRequest,
    steps: Iterator[Step],
    view: Callable[[Tensor], Tensor],
    name: str,
    out: Path,
) -> None:
    """Write each picture as OUT/SEED.png and, after `view` of (B, C, H, W), as OUT/SEED-NAME.png."""
    pictures = pictures_of(model, request, steps, out)
    written: list[Path] = []
    for one, picture in zip(request.singles(), pictures, strict=True):
        for each, file in ((picture, f"{one.seed}.png"), (transformed(picture, view), f"{one.seed}-{name}.png")):
            written.append(out / file)
            save_png(each, written[-1], model.png_parameters(one))
    say_written(written, out)


def command() -> None:
    """The console script `ddpm-anagram`."""
    run(main)


if __name__ == "__main__":
    command()
