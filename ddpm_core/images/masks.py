"""Regions of a picture as boolean arrays (H, W), True inside: from files, ready-made, at another size, grown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from ddpm_core.errors import UserError
from ddpm_core.images.faces import Square, face_squares, middle_square
from ddpm_core.images.files import open_picture

Region = Callable[[int, int, Square], np.ndarray]


class MaskError(UserError):
    """A mask nothing can be done with; the message is one sentence meant for the user."""


def open_mask(path: str | Path, size: tuple[int, int]) -> np.ndarray:
    """Bool (H, W) of a mask file for a picture of `size` (width, height): what is light is painted.

    Raises:
        PictureError: it is no picture.
        MaskError: its shape is not that of the picture.
    """
    mask = open_picture(path)
    width, height = size
    if abs(mask.width * height - mask.height * width) > 0.02 * mask.height * width:  # scaled masks are rounded
        raise MaskError(
            f"The mask is {mask.width}x{mask.height} pixels, another shape than the picture's {width}x{height}."
        )
    return fit(np.asarray(mask.convert("L")) > 127, size)


def fit(painted: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask bool (h, w) at another `size` (width, height); no painted pixel is lost in shrinking."""
    for axis, extent in ((0, size[1]), (1, size[0])):
        given = painted.shape[axis]
        starts = np.arange(extent) * given // extent
        painted = np.logical_or.reduceat(painted, starts, axis=axis) if extent < given else painted.take(starts, axis)
    return painted


def grown(region: np.ndarray, by: int) -> np.ndarray:
    """A region bool (H, W) reaching `by` pixels further in all eight directions; below 0 it shrinks as far.

    The picture's border is neither inside nor outside: growing stops at it, and shrinking does not begin there.
    The time does not depend on `by`.
    """
    if by < 0:
        return ~grown(~region, -by)
    for axis in (0, 1) if by else ():
        region = _reaching(region, by, axis)
    return region


def _reaching(region: np.ndarray, by: int, axis: int) -> np.ndarray:
    # A running count of what is inside: it rises between two places exactly if something inside lies between them.
    extent = region.shape[axis]
    count = np.insert(np.cumsum(region, axis=axis, dtype=np.int32), 0, 0, axis=axis)
    at = np.arange(extent)
    return count.take(np.minimum(at + by + 1, extent), axis) > count.take(np.maximum(at - by, 0), axis)


def any_inside(region: np.ndarray, extent: int, axis: int) -> np.ndarray:
    """The region with one axis at `extent` places: inside wherever any share of a place was inside."""
    given, at = region.shape[axis], np.arange(extent)
    spans = np.stack([at * given // extent, -(-(at + 1) * given // extent)], axis=1)
    padded = np.insert(region, given, False, axis=axis)  # reduceat takes no index beyond the end
    return np.logical_or.reduceat(padded, spans.ravel(), axis=axis).take(2 * at, axis=axis)


def ellipse(x: float, y: float, across: float, down: float) -> Region:
    """An ellipse around (x, y) with those half axes, all in shares of a square of the picture."""

    def region(width: int, height: int, square: Square) -> np.ndarray:
        columns = (np.arange(width) + 0.5 - square.left) / square.side - x
        rows = (np.arange(height) + 0.5 - square.top) / square.side - y
        return (rows[:, None] / down) ** 2 + (columns[None] / across) ** 2 < 1

    return region


def outside(region: Region) -> Region:
    """Everything that a region leaves out."""
    return lambda width, height, square: ~region(width, height, square)


# Where the parts of a face lie in a square that shows it as the training pictures do: with its eyes at (0.376, 0.478)
# and (0.624, 0.478).
READY: dict[str, Region] = {
    "face": ellipse(0.5, 0.56, 0.29, 0.36),
    "eyes": ellipse(0.5, 0.475, 0.26, 0.095),
    "mouth": ellipse(0.5, 0.745, 0.165, 0.1),
    "background": outside(ellipse(0.5, 0.56, 0.4, 0.5)),  # hair and ears belong to who is in front of it
}


def ready_made(name: str, picture: Image.Image, size: tuple[int, int] | None = None) -> np.ndarray:
    """A ready-made region, bool (H, W), of the largest face in a picture; of where one would be if none is found.

    Args:
        size: width and height of the copy of the picture it is for; the picture's own if left out.
    """
    width, height = size or picture.size
    faces = face_squares(picture)
    square = faces[0].scaled(width / picture.width) if faces else middle_square(width, height)
    return READY[name](width, height, square)
