"""Masks of a picture, bool (H, W), True inside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from ddpm_core.errors import UserError, lookup
from ddpm_core.images import levels, metadata
from ddpm_core.images.faces import EYE_LINE, Box, center_box, find_faces
from ddpm_core.images.files import as_picture, read_picture

MaskOf = Callable[[int, int, Box], np.ndarray]  # of width, height and the square that shows a face


class MaskError(UserError):
    """A mask nothing can be done with."""


def open_mask(path: str | Path, size: tuple[int, int]) -> np.ndarray:
    """Bool (H, W) of a mask file for a picture of `size` (width, height).

    Raises:
        PictureError: it is no picture.
        MaskError: its shape is not the picture's, or it does not say what is painted.
    """
    painted = read_picture(path, painted_in)
    (height, width), (across, down) = painted.shape, size
    if abs(width * down - height * across) > 0.02 * height * across:  # scaled masks are rounded
        raise MaskError(f"The mask is {width}x{height} pixels, another shape than the picture's {across}x{down}.")
    return resize_mask(painted, size)


def painted_in(picture: Image.Image) -> np.ndarray:
    """Bool (H, W), what is painted in a picture that is a mask, as it is stored.

    Where an alpha channel says something, what is opaque. Else what is light, or coloured brightly, in the file's
    range; of two dark colours, as 0 and 1, the lighter.

    Raises:
        MaskError: nobody can tell what is painted.
    """
    picture = metadata.upright(picture)
    shown = as_picture(picture)
    if shown.mode == "RGBA":
        alpha = np.asarray(shown)[:, :, 3].astype(int)
        if alpha.max() == 0:
            raise MaskError("The mask is transparent everywhere; what is painted has to be opaque in it.")
        if alpha.min() < alpha.max():
            return alpha * 2 > alpha.max()
    if levels.is_wide(picture):
        light = levels.values(picture)
        full = next((top for top in levels.NOMINAL if light.max() <= top), light.max())
    else:
        light, full = np.asarray(shown)[:, :, :3].max(2).astype(int), 255
    if picture.mode == "P" and (count := len(picture.getcolors() or [])) > 2 and _is_coloured(shown):
        raise MaskError(f"The mask is a map of {count} colours; make it black and white, white where it is painted.")
    if light.max() * 2 > full:
        return light * 2 > full
    used = np.unique(light)
    if len(used) > 2:
        raise MaskError(
            f"The mask is dark everywhere, with {len(used)} levels from {used[0]:g} to {used[-1]:g} of {full:g}; "
            "make it black and white, white where it is painted."
        )
    return light > used[0]


def _is_coloured(picture: Image.Image) -> bool:
    pixels = np.asarray(picture)[:, :, :3]
    return bool((pixels.max(2) != pixels.min(2)).any())


def inpainting_mask(
    painted: np.ndarray, size: tuple[int, int], keep_painted: bool = False, grow: int = 0
) -> np.ndarray:
    """What is to be made anew, bool (H, W), of what is `painted` on a picture of `size` (width, height).

    Args:
        keep_painted: what is painted is kept, and the rest made anew.
        grow: pixels to widen what is made anew, below 0 to narrow it.

    Raises:
        MaskError: nothing would be made, nothing kept, or sizes differ.
    """
    if painted.shape != size[::-1]:
        given, expected = f"{painted.shape[1]}x{painted.shape[0]}", f"{size[0]}x{size[1]}"
        raise MaskError(f"The mask is {given} pixels but the picture {expected}; they must match.")
    if not painted.any():
        wish = "to keep" if keep_painted else "made anew"
        raise MaskError(f"Nothing is painted yet; brush over the part you want {wish}.")
    if painted.all():
        if keep_painted:
            raise MaskError("Everything is painted, so all is kept; leave free what you want made anew.")
        raise MaskError("Everything is painted, so there is nothing to keep; leave some of the picture free.")
    mask = dilate(~painted if keep_painted else painted, grow)
    if not mask.any():
        raise MaskError(f"Narrowed by {-grow} pixels, nothing is left to make anew; narrow it less.")
    if mask.all():
        raise MaskError(f"Widened by {grow} pixels, all is made anew and nothing kept; widen it less.")
    return mask


def resize_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask bool (h, w) at another `size` (width, height): inside wherever any of a pixel was."""
    for axis, extent in ((0, size[1]), (1, size[0])):
        given, at = mask.shape[axis], np.arange(extent)
        if given == extent:
            continue
        spans = np.stack([at * given // extent, -(-(at + 1) * given // extent)], axis=1)
        padded = np.insert(mask, given, False, axis=axis)  # reduceat takes no index beyond the end
        mask = np.logical_or.reduceat(padded, spans.ravel(), axis=axis).take(2 * at, axis=axis)
    return mask


def dilate(mask: np.ndarray, by: int) -> np.ndarray:
    """A mask bool (H, W) reaching `by` pixels further in all eight directions, in constant time; below 0 it is eroded
    as far.
    """
    if by < 0:
        return ~dilate(~mask, -by)
    for axis in (0, 1) if by else ():
        mask = _dilated_along(mask, by, axis)
    return mask


def _dilated_along(mask: np.ndarray, by: int, axis: int) -> np.ndarray:
    # A running count of what is inside: it rises between two places exactly if something inside lies between them.
    extent = mask.shape[axis]
    count = np.insert(np.cumsum(mask, axis=axis, dtype=np.int32), 0, 0, axis=axis)
    at = np.arange(extent)
    return count.take(np.minimum(at + by + 1, extent), axis) > count.take(np.maximum(at - by, 0), axis)


def ellipse(x: float, y: float, across: float, down: float) -> MaskOf:
    """An ellipse around (x, y) with those half axes, in fractions of a face's square."""

    def mask(width: int, height: int, box: Box) -> np.ndarray:
        columns = (np.arange(width) + 0.5 - box.left) / box.side - x
        rows = (np.arange(height) + 0.5 - box.top) / box.side - y
        return (rows[:, None] / down) ** 2 + (columns[None] / across) ** 2 < 1  # (H, W)

    return mask


def outside(mask: MaskOf) -> MaskOf:
    """Everything that a mask leaves out."""
    return lambda width, height, box: ~mask(width, height, box)


# Where the parts of a face lie in a square that shows it as the training pictures do, with its eyes on `EYE_LINE`.
READY_MADE = "ready-made mask"
FACE_PARTS: dict[str, MaskOf] = {
    "face": ellipse(0.5, 0.56, 0.29, 0.36),
    "eyes": ellipse(0.5, EYE_LINE, 0.26, 0.095),
    "mouth": ellipse(0.5, 0.745, 0.165, 0.1),
    "background": outside(ellipse(0.5, 0.56, 0.4, 0.5)),  # hair and ears belong to who is in front of it
}


def face_mask(name: str, picture: Image.Image, size: tuple[int, int] | None = None) -> np.ndarray:
    """One of `FACE_PARTS`, bool (H, W), of a picture's largest face, or of where one would be.

    Args:
        size: (width, height) of the mask; the picture's own unless given.

    Raises:
        UserError: there is no such part.
    """
    width, height = size or picture.size
    faces = find_faces(picture)
    box = faces[0].scaled(width / picture.width) if faces else center_box(width, height)
    return lookup(FACE_PARTS, READY_MADE, name)(width, height, box)


def check_choice(mask: Path | None, region: str | None) -> None:
    """Raises `UserError` unless exactly one of the two is given."""
    if (mask is None) == (region is None):
        raise UserError("say what to make anew: either --mask FILE or --region NAME.")
    if region is not None:
        lookup(FACE_PARTS, READY_MADE, region)


def painted_on(picture: Image.Image, mask: Path | None, region: str | None) -> np.ndarray:
    """Bool (H, W), what is painted by a file or else by a ready-made mask. Raises `MaskError` if it is no mask."""
    if mask is not None:
        return open_mask(mask, picture.size)
    assert region is not None
    return face_mask(region, picture)
