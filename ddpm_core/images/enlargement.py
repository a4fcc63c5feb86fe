"""A picture of any shape on its way to being enlarged, and what comes back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ddpm_core.errors import UserError
from ddpm_core.images.files import as_rgb, to_pictures, to_tensor
from ddpm_core.images.low_resolution import enlarged_bicubically

MOST = 4  # times the side that a model takes at once: 25 windows, a minute or so on a CPU


@dataclass(frozen=True)
class Enlargement:
    """An upload as an enlarging model takes it, and the way back to its shape.

    Attributes:
        picture: the upload, RGB.
        factor: how many times larger it becomes.
        side: pixels that the model takes at least; smaller uploads are continued by their border.
        multiple: of which sides have to be one.
    """

    picture: Image.Image
    factor: int
    side: int
    multiple: int = 1

    @classmethod
    def of(cls, upload: Image.Image, factor: int, side: int, multiple: int = 1) -> Enlargement:
        """That of an upload in any colours. Raises `UserError` if it is too large."""
        picture = as_rgb(upload)
        cls.refuse_too_large(*picture.size, side)
        return cls(picture, factor, side, multiple)

    @staticmethod
    def refuse_too_large(width: int, height: int, side: int) -> None:
        """Raises `UserError` for pictures of that size; `side` is what the model takes at once."""
        if max(width, height) > MOST * side:
            raise UserError(
                f"The picture is {width} x {height} pixels, and {MOST * side} a side are the most that can be enlarged "
                "here; cut out what matters, or make it smaller first."
            )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of what the model is given."""
        width, height = (max(self.side, -(-extent // self.multiple) * self.multiple) for extent in self.picture.size)
        return width, height

    def image(self) -> Tensor:
        """What the model is given: (1, 3, H, W) in [-1, 1]."""
        width, height = self.size
        right, below = width - self.picture.width, height - self.picture.height
        return F.pad(to_tensor(self.picture), (0, right, 0, below), mode="replicate")

    def cut(self, large: Image.Image) -> Image.Image:
        """The model's picture without what the upload was continued by."""
        width, height = self.picture.size
        return large.crop((0, 0, self.factor * width, self.factor * height))

    def smooth(self) -> Image.Image:
        """The upload as large as the result, bicubically, to compare with."""
        return to_pictures(enlarged_bicubically(to_tensor(self.picture), self.factor))[0]


def together(enlargements: Iterable[Enlargement]) -> Tensor:
    """What a model is given of several of one size: (B, 3, H, W) in [-1, 1]."""
    return torch.cat([each.image() for each in enlargements])
