"""`python -m ddpm_core.process`: show how a picture comes out of noise, as a GIF or MP4.

Examples:
    python -m ddpm_core.process --seed 7 --out seven.gif
    python -m ddpm_core.process photo.jpg --region face --view sees --size 512 --out filling.mp4
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image

from ddpm_core.cli import (
    CHECKPOINT,
    Checkpoint,
    Device,
    Mask,
    Region,
    fields_of,
    flag_of,
    in_one_sentence,
    output_file,
    output_folder,
    run,
    say,
    say_written,
    settings_of,
    takes,
)
from ddpm_core.diffusion.samplers import Step
from ddpm_core.display.progress_bar import steps_watched
from ddpm_core.errors import UserError
from ddpm_core.images.animation import FORMATS, SUFFIXES, spread
from ddpm_core.images.files import open_picture
from ddpm_core.images.masks import check_choice, painted_on
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest, InpaintRequest, ProcessSettings

Run = tuple[GenerateRequest, Iterator[Step], Callable[[Image.Image], Image.Image]]  # request, steps, how to show one


@takes(GenerateRequest, InpaintRequest, ProcessSettings, without=("count", "format"))
def main(
    given: dict[str, Any],
    out: Annotated[Path, typer.Option(help="GIF or MP4 to write")],
    picture: Annotated[Path | None, typer.Argument(help="show an inpainting of this picture instead")] = None,
    mask: Mask = None,
    region: Region = None,
    checkpoint: Checkpoint = CHECKPOINT,
    device: Device = "auto",
) -> None:
    """Write OUT, the run of a seed step after step; of an inpainting, with its usual steps, if PICTURE is given."""
    with in_one_sentence():
        output_file(out, *SUFFIXES)
        shown = settings_of(given, ProcessSettings)
        if picture is None:
            begin = of_a_seed(given, mask, region)
        else:
            begin = of_an_inpainting(given, picture, mask, region, shown.size)
        model = LatentDiffusion.load(checkpoint, device)
        request, steps, dress = begin(model)
        output_folder(out.parent)
        say(*model.notes(request))
        frames = [
            dress(model.pictures(step.denoised if shown.view == "believes" else step.latent)[0])
            for step in spread(steps_watched(steps, request.calls), request.calls)
        ]
        FORMATS[out.suffix[1:].lower()](frames, out, shown.seconds, shown.size)
        say_written([out])


def of_a_seed(given: dict[str, Any], mask: Path | None, region: str | None) -> Callable[[LatentDiffusion], Run]:
    """The run of a seed, shown as it is. Raises `UserError` if a picture is missing."""
    strangers = [name for name in given if name not in {*GenerateRequest.model_fields, *ProcessSettings.model_fields}]
    strangers += [name for name, value in (("mask", mask), ("region", region)) if value is not None]
    if strangers:
        raise UserError(f"{flag_of(strangers[0])} belongs to an inpainting; name the picture as well.")

    def begin(model: LatentDiffusion) -> Run:
        request = model.request(GenerateRequest, **fields_of(GenerateRequest, given))
        return request, model.generate(request), lambda picture: picture

    return begin


def of_an_inpainting(
    given: dict[str, Any], picture: Path, mask: Path | None, region: str | None, size: int
) -> Callable[[LatentDiffusion], Run]:
    """The run of an inpainting, shown pasted into the picture, the longer side at most `size` pixels."""
    check_choice(mask, region)
    original = open_picture(picture)
    painted = painted_on(original, mask, region)

    def begin(model: LatentDiffusion) -> Run:
        request = model.request(InpaintRequest, **fields_of(InpaintRequest, given))
        frame = model.frame(request, original, painted)
        return request, model.inpaint(request, frame.image(), frame.mask()), frame.reduced(size).paste

    return begin


def command() -> None:
    """The console script `ddpm-process`."""
    run(main)


if __name__ == "__main__":
    command()
