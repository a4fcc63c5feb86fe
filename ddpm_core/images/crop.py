"""Fitting an upload of any shape to the model's square, and putting the result back at full size."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ddpm_core.errors import no_such
from ddpm_core.images.blending import blend
from ddpm_core.images.colors import in_colors_of, with_colors_of
from ddpm_core.images.faces import Box
from ddpm_core.images.files import as_rgb, to_tensor
from ddpm_core.images.masks import resize_mask

Crop = Literal["auto", "whole", "painted"]
MOST = 0.9  # of a face's window may be painted: what is made needs something to go on from
CONTEXT = 2.0  # side of a "painted" window over the painted extent: as much around it as a patch needs to fit in


def center_crop(picture: Image.Image, size: int) -> Image.Image:
    """The largest square in an upload's middle, RGB, `size` pixels a side."""
    return ImageOps.fit(as_rgb(picture), (size, size), Image.Resampling.LANCZOS)


def box_crop(picture: Image.Image, square: Box, size: int) -> Image.Image:
    """A square of an upload, RGB, `size` pixels a side; beyond the upload its border is repeated."""
    window = with_colors_of(_inside(np.asarray(picture), square), picture)
    return as_rgb(window).resize((size, size), Image.Resampling.LANCZOS)


def _inside(pixels: np.ndarray, square: Box) -> np.ndarray:
    rows, columns = (
        np.clip(np.arange(start, start + square.side), 0, extent - 1)
        for start, extent in zip((square.top, square.left), pixels.shape[:2], strict=True)
    )
    return pixels[rows][:, columns]  # (side, side, ...)


@dataclass(frozen=True)
class Frame:
    """A square window of an upload: what the model sees, and the way back.

    Attributes:
        picture: the upload, RGB or RGBA, in its own colours.
        painted: bool (H, W), True where it is to be made anew.
        left, top, side: in the upload's pixels; may reach beyond it.
        size: side of the model's square, pixels.
        feather: upload's pixels over which it fades into what was made.
    """

    picture: Image.Image
    painted: np.ndarray
    left: int
    top: int
    side: int
    size: int
    feather: int = 0

    @classmethod
    def around(
        cls,
        picture: Image.Image,
        painted: np.ndarray,
        size: int,
        crop: Crop = "whole",
        feather: int = 0,
        faces: Iterable[Box] = (),
    ) -> Frame:
        """The window for what is `painted` (H, W) on `picture`; some has to be, and some not.

        "whole" has the upload's shorter side, or what the painted area needs, as near to it as the upload allows.
        "painted" has `CONTEXT` times the painted extent, from `size` to "whole". "auto" is the first of `faces` that
        holds, widened a little, all that is painted and keeps some of it; else "whole".

        Raises:
            UserError: there is no such crop.
        """
        if crop not in get_args(Crop):
            raise no_such("crop", crop, get_args(Crop))
        rows, columns = np.flatnonzero(painted.any(1)), np.flatnonzero(painted.any(0))
        spans = [(columns[0], columns[-1] + 1, picture.width), (rows[0], rows[-1] + 1, picture.height)]
        box = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
        windows = (window for face in faces if (window := face.around(*box)) and _inside(painted, window).mean() < MOST)
        if crop == "auto" and (window := next(windows, None)):
            return cls(picture, painted, *window, size, feather)
        extent = int(max(end - start for start, end, _ in spans))
        side = max(min(picture.size), extent)
        if crop == "painted":
            side = min(side, max(size, math.ceil(CONTEXT * extent)))
        left, top = (cls._place(int(start), int(end), int(length), side) for start, end, length in spans)
        return cls(picture, painted, left, top, side, size, feather)

    @staticmethod
    def _place(start: int, end: int, extent: int, side: int) -> int:
        if side >= extent:
            return (extent - side) // 2
        return min(max((start + end - side) // 2, 0), extent - side)

    @property
    def window(self) -> Box:
        """Where in the upload the model looks."""
        return Box(self.left, self.top, self.side)

    @property
    def fits(self) -> bool:
        """Whether the model's square is as large as what is made anew, or larger."""
        return self.side <= self.size

    def image(self) -> Tensor:
        """What the model sees of the upload: (1, 3, size, size) in [-1, 1]."""
        return to_tensor(box_crop(self.picture, self.window, self.size))

    def mask(self) -> Tensor:
        """Bool (1, 1, size, size): True wherever any painted pixel falls."""
        mask = resize_mask(_inside(self.painted, self.window), (self.size, self.size))  # (size, size)
        return torch.from_numpy(mask)[None, None]

    def paste(self, square: Image.Image) -> Image.Image:
        """The upload at its own size and in its colours, `square` (the model's) in the painted pixels alone."""
        fill = in_colors_of(square, self.picture).convert(self.picture.mode)
        fill = fill.resize((self.side, self.side), Image.Resampling.LANCZOS)
        sheet = self.picture.copy()
        sheet.paste(fill, (self.left, self.top))
        return blend(self.picture, sheet, self.painted, self.feather)

    def reduced(self, limit: int) -> Frame:
        """The frame on a copy of the upload at most `limit` pixels wide and high."""
        factor = limit / max(self.picture.size)
        if factor >= 1:
            return self
        width, height = (max(1, round(extent * factor)) for extent in self.picture.size)
        # A pixel of the copy is painted if any of it was: a stroke may be thinner than that.
        painted = resize_mask(self.painted, (width, height))
        picture = self.picture.resize((width, height), Image.Resampling.BOX)
        # Outwards, so that a painted pixel on the window's edge stays in it.
        left, top = math.floor(self.left * factor), math.floor(self.top * factor)
        right, bottom = (math.ceil((start + self.side) * factor) for start in (self.left, self.top))
        side = max(1, right - left, bottom - top)
        return Frame(picture, painted, left, top, side, self.size, round(self.feather * factor))
