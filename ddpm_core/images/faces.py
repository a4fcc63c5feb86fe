"""Squares of an upload: where a model looks, and where a face lies as in portraits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from ddpm_core.images.files import as_rgb

# What the finder says of the pictures that `faces-128` learned from, the median of every sixteenth: the middle of the
# box around a face and its width, in fractions of the picture.
BOX_X, BOX_Y, BOX_WIDTH = 0.502, 0.543, 0.656
EYE_LINE, EYES_ACROSS = 0.478, (0.376, 0.624)  # how far down theirs have their eyes, and how far across
# A square is as good as another if it is no further off, as a fraction of its side, and no larger or smaller.
AWAY, LARGER = 0.1, 1.25
# Pixels: longer side of the copy that is searched, and the least width of a face's box in it.
SEARCH_SIDE, SMALLEST = 400, 24


class Box(NamedTuple):
    """A square of a picture, in its pixels; it may reach beyond the picture."""

    left: int
    top: int
    side: int

    def scaled(self, factor: float) -> Box:
        """The square in a copy of the picture that is `factor` times as large."""
        return Box(*(round(number * factor) for number in self))

    def like(self, other: Box) -> bool:
        """Whether both show about the same (`AWAY`, `LARGER`)."""
        off = max(abs(2 * at + self.side - 2 * it - other.side) / 2 for at, it in zip(self[:2], other[:2], strict=True))
        return off <= AWAY * other.side and 1 / LARGER <= self.side / other.side <= LARGER

    def around(self, left: int, top: int, right: int, bottom: int) -> Box | None:
        """The least square that holds this one and a box; None if it would be `LARGER` times as large."""
        left, top = min(self.left, left), min(self.top, top)
        side = max(self.left + self.side, right) - left, max(self.top + self.side, bottom) - top
        return Box(left, top, max(side)) if max(side) < LARGER * self.side else None


def center_box(width: int, height: int) -> Box:
    """The largest square in the middle of a picture."""
    side = min(width, height)
    return Box((width - side) // 2, (height - side) // 2, side)


def find_faces(picture: Image.Image) -> list[Box]:
    """The squares in which faces lie as in the training pictures, the largest first.

    By OpenCV's cascade (Viola and Jones 2001): frontal, upright, from about a sixteenth of the longer side.
    """
    import cv2  # here, for it takes a while, and only photos need it
    from cv2.data import haarcascades

    copy = as_rgb(picture).convert("L")
    copy.thumbnail((SEARCH_SIDE, SEARCH_SIDE))
    finder = cv2.CascadeClassifier(f"{haarcascades}haarcascade_frontalface_alt2.xml")
    detections = finder.detectMultiScale(np.asarray(copy), 1.1, 4, minSize=(SMALLEST, SMALLEST))
    factor = max(picture.size) / max(copy.size)
    boxes = []
    for x, y, width, height in sorted(np.asarray(detections).tolist(), key=lambda box: -box[2]):
        side = width / BOX_WIDTH
        square = (x + width / 2 - BOX_X * side, y + height / 2 - BOX_Y * side, side)
        boxes.append(Box(*(round(number * factor) for number in square)))
    return boxes
