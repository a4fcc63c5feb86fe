"""Pictures in and out: any file to upright RGB, to tensors and back, PNG with its parameters."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from ddpm_core.errors import UserError
from ddpm_core.images import kinds, levels, metadata
from ddpm_core.images.colors import PROFILE, SPACES, in_rgb, in_srgb

PARAMETERS = "parameters"  # the PNG text chunk that says how a picture was made
FEW_BITS = {"L;2": 2, "L;4": 4}  # of grey, by Pillow's name for how it is stored

Used = TypeVar("Used")

kinds.register()


class PictureError(UserError):
    """A file that cannot be used as a picture."""


@dataclass(frozen=True)
class Member:
    """A file inside another one, an archive say.

    Attributes:
        name: what it is called there; never a path to anything.
        place: where it lies; reading in the order of places costs one pass.
        content: gives its bytes, to one thread at a time.
    """

    name: str
    place: int
    content: Callable[[], bytes]

    def __str__(self) -> str:
        return self.name

    def read(self) -> bytes:
        """Its bytes. Raises `PictureError` if they cannot be read."""
        try:
            return self.content()
        except PictureError:
            raise
        except Exception:  # every kind of archive has its own for what is damaged
            raise PictureError(f"{Path(self.name).name} is damaged and cannot be read.") from None


Source = Path | Member | Image.Image  # a file, a file in an archive, or a picture in memory


def open_picture(path: str | Source, side: int | None = None) -> Image.Image:
    """The picture in a file as `as_picture` gives it, of an animation the first frame.

    Args:
        side: pixels enough for its shorter side; a JPEG is then decoded smaller, sooner.

    Raises:
        PictureError: the file is missing, no picture, truncated, absurdly large or of a kind that cannot be read.
    """
    return read_picture(path, as_picture, side)


def read_picture(path: str | Source, use: Callable[[Image.Image], Used], side: int | None = None) -> Used:
    """What `use` makes of the picture in a file, as it is stored; else as `open_picture`."""
    if isinstance(path, Image.Image):
        return use(path)
    name = Path(str(path)).name
    file = io.BytesIO(path.read()) if isinstance(path, Member) else path
    try:
        try:
            return use(_loaded(file, side))
        except (UserError, FileNotFoundError, IsADirectoryError, Image.DecompressionBombError, MemoryError):
            raise
        except Exception:  # it may be whole but for what stands beside its pixels
            return use(_loaded_bare(file, side))
    except UserError:  # that of `use`
        raise
    except FileNotFoundError:
        raise PictureError(f"{path} does not exist.") from None
    except Image.DecompressionBombError:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6  # Pillow refuses from twice its limit on
        raise PictureError(f"{name} has too many pixels to open, over {most} million; make it smaller first.") from None
    except MemoryError:
        raise PictureError(f"There is not enough memory to open {name}; make it smaller first.") from None
    except Exception:  # damaged files make Pillow's many readers stumble in as many ways
        raise PictureError(_unreadable(name, file)) from None


def _loaded(file: str | Path | BinaryIO, side: int | None) -> Image.Image:
    with Image.open(file) as picture:
        if side is not None:
            picture.draft(None, (side, side))
        key = _clear_color(picture)
        picture.load()
        if key is not None:
            picture.info["transparency"] = key
        return picture


def _loaded_bare(file: str | Path | BinaryIO, side: int | None) -> Image.Image:
    bare = metadata.bare(_bytes(file))
    picture = _loaded(io.BytesIO(bare.content), side)
    picture.info |= {"exif": bare.exif} if bare.exif else {}
    picture.info |= {PROFILE: bare.profile} if bare.profile else {}
    return picture


def _clear_color(picture: Image.Image) -> Any:
    """What a PNG says is transparent, in 8 bits: Pillow scales its pixels, but not that."""
    clear = picture.info.get("transparency")
    tiles = getattr(picture, "tile", None)
    rawmode = tiles[0][3] if tiles else None
    if rawmode in FEW_BITS and isinstance(clear, int):
        return (clear % 2 ** FEW_BITS[rawmode]) * 255 // (2 ** FEW_BITS[rawmode] - 1)
    if rawmode == "RGB;16B" and isinstance(clear, tuple):  # what its upper bits cannot tell apart is transparent, too
        return tuple(level >> 8 for level in clear)
    return None


def _bytes(file: str | Path | BinaryIO, most: int = -1) -> bytes:
    if isinstance(file, str | Path):
        with open(file, "rb") as stream:
            return stream.read(most)
    file.seek(0)
    return file.read(most)


def _unreadable(name: str, file: str | Path | BinaryIO) -> str:
    try:
        kind = kinds.of(_bytes(file, kinds.HEAD))
    except OSError:
        kind = None
    return f"{name} is not a picture that can be read; try a PNG or JPEG." if kind is None else kind.sentence(name)


def as_picture(picture: Image.Image) -> Image.Image:
    """Any Pillow picture upright and 8-bit: RGB, or RGBA if any of it is transparent; its colour profile stays."""
    picture = metadata.upright(picture)
    if levels.is_wide(picture):
        picture = levels.in_8_bits(picture)
    if picture.mode not in SPACES:
        profile = picture.info.get(PROFILE)
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
        picture.info = {PROFILE: profile} if profile else {}
    return in_rgb(picture)


def as_rgb(picture: Image.Image) -> Image.Image:
    """Any Pillow picture as upright 8-bit RGB in sRGB, on white: what a model sees."""
    picture = in_srgb(as_picture(picture))
    if picture.mode == "RGBA":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def to_tensor(picture: Image.Image) -> Tensor:
    """(1, 3, H, W) in [-1, 1] of an RGB picture."""
    pixels = torch.from_numpy(np.array(picture, dtype=np.uint8))  # (H, W, 3)
    return pixels.permute(2, 0, 1)[None].float() / 127.5 - 1  # (1, 3, H, W)


def to_bytes(image: Tensor) -> np.ndarray:
    """(B, H, W, 3) uint8 of an image tensor (B, 3, H, W) in [-1, 1], clipped."""
    levels = (image.clamp(-1, 1) + 1) * 127.5  # (B, 3, H, W)
    return levels.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()  # (B, H, W, 3)


def to_pictures(image: Tensor) -> list[Image.Image]:
    """One RGB picture per entry of an image tensor (B, 3, H, W)."""
    return [Image.fromarray(pixels) for pixels in to_bytes(image)]


def transformed(picture: Image.Image, transform: Callable[[Tensor], Tensor]) -> Image.Image:
    """An RGB picture after a function of its pixels (1, 3, H, W) in [-1, 1]."""
    return to_pictures(transform(to_tensor(picture)))[0]


def contact_sheet(image: Tensor, columns: int | None = None, gap: int = 2) -> Image.Image:
    """An image tensor (B, 3, H, W) on white, `columns` to a row (default: a square)."""
    pixels = to_bytes(image)
    count, height, width, _ = pixels.shape
    columns = columns or max(1, round(count**0.5))
    rows = -(-count // columns)
    sheet = Image.new("RGB", (columns * (width + gap) - gap, rows * (height + gap) - gap), "white")
    for i, tile in enumerate(pixels):
        sheet.paste(Image.fromarray(tile), ((i % columns) * (width + gap), (i // columns) * (height + gap)))
    return sheet


def save_png(picture: Image.Image, path: str | Path, parameters: Mapping[str, Any]) -> None:
    """Write a lossless PNG with its profile and, as JSON in the text "parameters", what made it."""
    info = PngInfo()
    info.add_text(PARAMETERS, json.dumps(dict(parameters)))
    profile = picture.info.get(PROFILE)
    picture.save(path, format="PNG", pnginfo=info, icc_profile=profile, compress_level=3)  # lossless at any, 3 is quick


def read_parameters(path: str | Path) -> dict[str, Any]:
    """What `save_png` wrote beside the pixels; empty if the file is none of ours.

    Raises:
        PictureError: there is no such file, or it may not be read.
    """
    try:
        with open(path, "rb") as file:
            text = metadata.png_text(file, PARAMETERS)
        content = json.loads(text or "{}")
    except OSError as error:
        raise PictureError(f"{path} cannot be opened: {error.strerror or error}.") from None
    except (ValueError, RecursionError):  # other programs use the same chunk for plain text
        return {}
    return content if isinstance(content, dict) else {}
