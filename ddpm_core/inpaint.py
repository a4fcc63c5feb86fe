"""`python -m ddpm_core.inpaint`: make part of a picture anew.

Examples:
    python -m ddpm_core.inpaint photo.jpg --region face --count 4 --out filled
    python -m ddpm_core.inpaint photo.jpg --mask mask.png --crop painted --out filled
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from ddpm_core.cli import fail, in_one_sentence, run, takes
from ddpm_core.diffusion.samplers import last
from ddpm_core.images.files import open_picture, save_png
from ddpm_core.images.masks import FACE_PARTS, face_mask, open_mask
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import InpaintRequest


@takes(InpaintRequest)
def main(
    given: dict[str, Any],
    picture: Annotated[Path, typer.Argument(help="picture to change")],
    out: Annotated[Path, typer.Option(help="folder to write into")],
    mask: Annotated[Optional[Path], typer.Option(help="picture of that shape, light or opaque where painted")] = None,
    region: Annotated[Optional[str], typer.Option(help=f"a ready-made mask instead: {', '.join(FACE_PARTS)}")] = None,
    checkpoint: Annotated[Path, typer.Option(help="checkpoint folder")] = Path("checkpoints/faces-128"),
    device: Annotated[str, typer.Option(help="cpu, cuda, mps, or auto")] = "auto",
) -> None:
    """Write OUT/SEED.png for each seed, PICTURE at its own size with the painted part made anew."""
    if (mask is None) == (region is None):
        fail("say what to make anew: either --mask FILE or --region NAME.")
    if region is not None and region not in FACE_PARTS:
        fail(f"there is no ready-made mask {region!r}; choose from: {', '.join(FACE_PARTS)}.")
    with in_one_sentence():
        request = InpaintRequest.model_validate(given)
        original = open_picture(picture)
        painted = open_mask(mask, original.size) if mask else face_mask(region, original)  # type: ignore[arg-type]
        model = LatentDiffusion.load(checkpoint, device)
        frame = model.frame(request, original, painted)
        made = model.pictures(last(model.inpaint(request, frame.image(), frame.mask())).latent)
        out.mkdir(parents=True, exist_ok=True)
        for one, fill in zip(request.singles(), made, strict=True):
            save_png(frame.paste(fill), out / f"{one.seed}.png", model.png_parameters(one))


if __name__ == "__main__":
    run(main)
