"""What the commands that make pictures have in common."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from ddpm_core.checkpoints.folders import enlarging_beside
from ddpm_core.cli import output_folder, say, say_written
from ddpm_core.diffusion.samplers import Step, last
from ddpm_core.display.progress_bar import steps_watched
from ddpm_core.images.crop import Frame
from ddpm_core.images.files import save_png
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest, InpaintRequest


def pictures_of(
    model: LatentDiffusion, request: GenerateRequest, steps: Iterator[Step], folder: Path
) -> list[Image.Image]:
    """The pictures at the end of `steps`; before, the folder is made and notes are said.

    Raises `UserError` for a folder that cannot be written to.
    """
    output_folder(folder)
    say(*model.notes(request))
    return model.pictures(last(steps_watched(steps, request.calls)).latent)


def enlarged_fills(
    model: LatentDiffusion, request: InpaintRequest, frame: Frame, squares: list[Image.Image], device: str = "auto"
) -> tuple[list[Image.Image], dict[str, str]]:
    """An inpainting's squares, made larger where they are to be by a checkpoint beside the model's, and its name."""
    beside = None if frame.fits or not request.enlarge or model.folder is None else enlarging_beside(model.folder)
    if beside is None:
        return squares, {}
    enlarger = LatentDiffusion.load(beside, device)
    return enlarger.enlarged(squares, request.seed), {"enlarged_by": enlarger.name}


def write_one(model: LatentDiffusion, request: GenerateRequest, picture: Image.Image, out: Path) -> None:
    """Write a picture with how it was made, and say so."""
    save_png(picture, out, model.png_parameters(request))
    say_written([out])
