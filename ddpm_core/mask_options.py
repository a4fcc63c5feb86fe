"""How a command is told what is painted: the options, and the mask they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from ddpm_core.errors import UserError
from ddpm_core.images.masks import FACE_PARTS, face_mask, open_mask

Mask = Annotated[Path | None, typer.Option(help="picture of that shape, light or opaque where painted")]
Region = Annotated[str | None, typer.Option(help=f"a ready-made mask instead: {', '.join(FACE_PARTS)}")]


def check_painted(mask: Path | None, region: str | None) -> None:
    """Refuse what does not say what is painted. Raises `UserError`."""
    if (mask is None) == (region is None):
        raise UserError("say what to make anew: either --mask FILE or --region NAME.")
    if region is not None and region not in FACE_PARTS:
        raise UserError(f"there is no ready-made mask {region!r}; choose from: {', '.join(FACE_PARTS)}.")


def painted_on(picture: Image.Image, mask: Path | None, region: str | None) -> np.ndarray:
    """Bool (H, W), what is painted on a picture by a file or, without one, by a ready-made mask. Raises `MaskError`."""
    if mask is not None:
        return open_mask(mask, picture.size)
    assert region is not None
    return face_mask(region, picture)
