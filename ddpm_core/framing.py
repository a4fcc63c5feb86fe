"""Fitting an upload of any shape to the model's square, and putting the result back at full size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ddpm_core.pictures import as_rgb, to_tensor


class MaskError(ValueError):
    """A mask nothing can be done with; the message is one sentence meant for the user."""


@dataclass(frozen=True)
class Frame:
    """A square window of an upload: what the model sees, and the way back.

    The window is as large as the upload's shorter side, or larger if the painted area needs it, and lies
    as near to the painted area as the upload allows. Where it reaches beyond the upload, the border
    pixels are repeated. The aspect ratio is kept.

    Attributes:
        picture: the upload, RGB or RGBA; what is kept keeps its transparency.
        painted: bool (H, W), True where it is to be made anew.
        left, top, side: the window, in the upload's pixels; may reach beyond it.
        size: side of the model's square, pixels.
    """

    picture: Image.Image
    painted: np.ndarray
    left: int
    top: int
    side: int
    size: int

    @classmethod
    def around(cls, picture: Image.Image, painted: np.ndarray, size: int) -> Frame:
        """The window for what is `painted` (H, W) on `picture`.

        Raises:
            MaskError: nothing is painted, everything is, or the mask has another size than the picture.
        """
        if painted.shape != (picture.height, picture.width):
            mask, upload = f"{painted.shape[1]}x{painted.shape[0]}", f"{picture.width}x{picture.height}"
            raise MaskError(f"The mask is {mask} pixels but the picture {upload}; they must match.")
        if not painted.any():
            raise MaskError("Nothing is painted yet; brush over the part you want made anew.")
        if painted.all():
            raise MaskError("Everything is painted, so there is nothing to keep; leave some of the picture free.")
        rows, columns = np.flatnonzero(painted.any(1)), np.flatnonzero(painted.any(0))
        spans = [(columns[0], columns[-1] + 1, picture.width), (rows[0], rows[-1] + 1, picture.height)]
        side = int(max(min(picture.size), *(end - start for start, end, _ in spans)))
        left, top = (cls._place(int(start), int(end), int(extent), side) for start, end, extent in spans)
        return cls(picture, painted, left, top, side, size)

    @staticmethod
    def _place(start: int, end: int, extent: int, side: int) -> int:
        if side >= extent:
            return (extent - side) // 2
        return min(max((start + end - side) // 2, 0), extent - side)

    def image(self) -> Tensor:
        """What the model sees of the upload: (1, 3, size, size) in [-1, 1]."""
        pixels = np.asarray(self.picture)[self._indices(0)][:, self._indices(1)]
        return to_tensor(as_rgb(Image.fromarray(pixels)).resize((self.size, self.size), Image.Resampling.LANCZOS))

    def keep(self) -> Tensor:
        """The keep mask (1, 1, size, size): False wherever any painted pixel of the upload falls."""
        painted = self.painted[self._indices(0)][:, self._indices(1)]
        for axis in (0, 1):
            painted = self._any(painted, axis)
        return torch.from_numpy(~painted)[None, None]

    def _any(self, painted: np.ndarray, axis: int) -> np.ndarray:
        pixel = np.arange(self.size)
        spans = np.stack([pixel * self.side // self.size, -(-(pixel + 1) * self.side // self.size)], axis=1)
        padded = np.insert(painted, self.side, False, axis=axis)  # reduceat takes no index beyond the end
        return np.logical_or.reduceat(padded, spans.ravel(), axis=axis).take(2 * pixel, axis=axis)

    def paste(self, made: Image.Image) -> Image.Image:
        """The upload at its own size, painted pixels taken from `made` (the model's square), no other touched."""
        fill = made.convert(self.picture.mode).resize((self.side, self.side), Image.Resampling.LANCZOS)
        sheet = self.picture.copy()
        sheet.paste(fill, (self.left, self.top))
        pixels = np.where(self.painted[:, :, None], np.asarray(sheet), np.asarray(self.picture))
        return Image.fromarray(pixels)

    def reduced(self, limit: int) -> Frame:
        """The same frame on a copy of the upload at most `limit` pixels wide and high, for quick previews."""
        factor = limit / max(self.picture.size)
        if factor >= 1:
            return self
        width, height = (max(1, round(extent * factor)) for extent in self.picture.size)
        painted = Image.fromarray(self.painted.astype(np.uint8) * 255).resize((width, height), Image.Resampling.BOX)
        picture = self.picture.resize((width, height), Image.Resampling.BOX)
        left, top, side = (round(x * factor) for x in (self.left, self.top, self.side))
        return Frame(picture, np.asarray(painted) > 127, left, top, max(1, side), self.size)

    def _indices(self, axis: int) -> np.ndarray:
        start, extent = (self.top, self.picture.height) if axis == 0 else (self.left, self.picture.width)
        return np.clip(np.arange(start, start + self.side), 0, extent - 1)
