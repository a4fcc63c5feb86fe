"""Pictures in and out: any file to upright RGB, RGB to tensors and back, PNG with its parameters."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

PARAMETERS = "parameters"  # the PNG text chunk that says how a picture was made


class PictureError(ValueError):
    """A file that cannot be used as a picture; the message is one sentence meant for the user."""


@dataclass(frozen=True)
class Member:
    """A file inside another one, an archive say.

    Attributes:
        name: what it is called there; never a path to anything.
        place: where it lies. Members read in the order of their places are read in one go; what is compressed as a
            whole may have to be gone through from its beginning for each that is not.
        content: gives its bytes, to one thread at a time.
    """

    name: str
    place: int
    content: Callable[[], bytes]

    def __str__(self) -> str:
        return self.name

    def read(self) -> bytes:
        """Its bytes. Raises `PictureError`."""
        try:
            return self.content()
        except PictureError:
            raise
        except Exception:  # every kind of archive has its own for what is damaged
            raise PictureError(f"{Path(self.name).name} is damaged and cannot be read.") from None


Source = Path | Member | Image.Image  # a file, a file in an archive, or a picture in memory


def open_picture(path: str | Source, side: int | None = None) -> Image.Image:
    """The picture in a file as `as_picture` gives it: upright 8-bit RGB, or RGBA if any of it is transparent.

    Of an animation it is the first frame. One in memory is treated alike.

    Args:
        side: pixels that are enough for its shorter side. A JPEG is then decoded at the smallest of the sizes it
            can be (a half, a quarter or an eighth) that has them, in a fraction of the time.

    Raises:
        PictureError: the file is missing, no picture, truncated or absurdly large.
    """
    if isinstance(path, Image.Image):
        return as_picture(path)
    name = Path(str(path)).name
    file = io.BytesIO(path.read()) if isinstance(path, Member) else path
    try:
        with Image.open(file) as picture:
            if side is not None:
                picture.draft(None, (side, side))
            picture.load()
            return as_picture(picture)
    except FileNotFoundError:
        raise PictureError(f"{path} does not exist.") from None
    except Image.DecompressionBombError:
        raise PictureError(f"{name} has too many pixels to open; make it smaller first.") from None
    except Exception:  # damaged files make Pillow's many readers stumble in as many ways
        raise PictureError(f"{name} is not a picture that can be read; try a PNG or JPEG.") from None


def as_picture(picture: Image.Image) -> Image.Image:
    """Any Pillow picture upright and 8-bit: EXIF turns applied, 16-bit scaled, RGB, or RGBA if it has transparency."""
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I") or picture.mode == "F":  # Pillow would clip these at 255
        values = np.nan_to_num(np.asarray(picture, dtype=np.float64))
        peak = 65535 if picture.mode.startswith("I") or values.max() > 255 else 255 if values.max() > 1 else 1
        picture = Image.fromarray((values.clip(0, peak) / peak * 255).round().astype(np.uint8))
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def as_rgb(picture: Image.Image) -> Image.Image:
    """Any Pillow picture as upright 8-bit RGB, transparency laid on white."""
    picture = as_picture(picture)
    if picture.mode == "RGBA":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def to_tensor(picture: Image.Image) -> Tensor:
    """(1, 3, H, W) in [-1, 1] of an RGB picture."""
    pixels = torch.from_numpy(np.array(picture, dtype=np.uint8))
    return pixels.permute(2, 0, 1)[None].float() / 127.5 - 1


def to_bytes(image: Tensor) -> np.ndarray:
    """(B, H, W, 3) uint8 of an image tensor (B, 3, H, W) nominally in [-1, 1]; values beyond are clipped."""
    levels = (image.clamp(-1, 1) + 1) * 127.5
    return levels.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()


def to_pictures(image: Tensor) -> list[Image.Image]:
    """One RGB picture per entry of an image tensor (B, 3, H, W)."""
    return [Image.fromarray(pixels) for pixels in to_bytes(image)]


def seen(picture: Image.Image, see: Callable[[Tensor], Tensor]) -> Image.Image:
    """An RGB picture after a function of its pixels (1, 3, H, W) in [-1, 1], such as `see` of a `guidance.View`."""
    return to_pictures(see(to_tensor(picture)))[0]


def contact_sheet(image: Tensor, columns: int | None = None, gap: int = 2) -> Image.Image:
    """All entries of an image tensor (B, 3, H, W) side by side on white, `columns` to a row (default: a square)."""
    pixels = to_bytes(image)
    count, height, width, _ = pixels.shape
    columns = columns or max(1, round(count**0.5))
    rows = -(-count // columns)
    sheet = Image.new("RGB", (columns * (width + gap) - gap, rows * (height + gap) - gap), "white")
    for i, tile in enumerate(pixels):
        sheet.paste(Image.fromarray(tile), ((i % columns) * (width + gap), (i // columns) * (height + gap)))
    return sheet


def save_png(picture: Image.Image, path: str | Path, parameters: Mapping[str, Any]) -> None:
    """Write a lossless PNG whose text chunk "parameters" holds, as JSON, what made the picture."""
    info = PngInfo()
    info.add_text(PARAMETERS, json.dumps(dict(parameters)))
    picture.save(path, format="PNG", pnginfo=info, compress_level=3)  # lossless at any level, and 3 is quick


def read_parameters(path: str | Path) -> dict[str, Any]:
    """What `save_png` wrote beside the pixels; empty if there is nothing."""
    with Image.open(path) as picture:
        text = getattr(picture, "text", {}).get(PARAMETERS, "{}")
    try:
        said = json.loads(text)
    except ValueError:  # other programs use the same chunk for plain text
        return {}
    return said if isinstance(said, dict) else {}
