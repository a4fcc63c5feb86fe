"""Pictures in memory, read from where `datasets` found them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ddpm_core.datasets import NONE, find
from ddpm_core.pictures import PictureError, Source, as_rgb, open_picture


def find_pictures(data: Path) -> dict[str, list[Source]]:
    """The pictures of a folder or archive, split into "train" and "val", as `datasets.find` has them.

    Raises:
        PictureError: no such data, or no picture in it.
    """
    return find(data, NONE).sources


@dataclass
class PictureSet:
    """Pictures in memory: `pixels` (N, 3, size, size) uint8, and the files that could not be read.

    `labels` (N,) has the number of each one's class, see `datasets.DataSet`; None without classes.
    """

    pixels: Tensor
    unreadable: list[Source]
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def batch(self, index: Tensor, flip: Tensor | None = None) -> Tensor:
        """(B, 3, size, size) in [-1, 1] of the pictures numbered `index`, mirrored where `flip` (B,) is True."""
        image = self.pixels[index].float() / 127.5 - 1
        return image if flip is None else torch.where(flip[:, None, None, None], image.flip(3), image)

    def batches(self, size: int) -> Iterator[Tensor]:
        """All pictures in order, `size` at a time, as (B, 3, size, size) in [-1, 1]."""
        for start in range(0, len(self), size):
            yield self.batch(torch.arange(start, min(start + size, len(self))))


def load_pictures(
    paths: Iterable[Source],
    size: int,
    views: int = 1,
    zoom: float = 0.0,
    seed: int = 0,
    labels: Sequence[int] | None = None,
) -> PictureSet:
    """Read files as squares of `size` pixels (centre crop, Lanczos), unreadable ones left out and listed.

    Args:
        views: copies of each picture; the first is the whole centre square, each further one a random
            square of it, up to `zoom` (a share of its side) smaller. Resampled from the original pixels.
        seed: of the random squares.
        labels: the number of each file's class, if there are classes.

    Raises:
        PictureError: not one file could be read.
    """
    draw = np.random.default_rng(seed)
    pixels, unreadable, known = [], [], []
    for number, path in enumerate(paths):
        try:
            picture = as_rgb(open_picture(path))
        except PictureError:
            unreadable.append(path)
            continue
        known += [number] * views
        side = min(picture.size)
        left, top = (picture.width - side) / 2, (picture.height - side) / 2
        for view in range(views):
            window = side * (1 - zoom * draw.random()) if view else side
            x, y = (left + (side - window) * draw.random(), top + (side - window) * draw.random())
            tile = picture.resize((size, size), Image.Resampling.LANCZOS, box=(x, y, x + window, y + window))
            pixels.append(torch.from_numpy(np.array(tile)).permute(2, 0, 1))
    if not pixels:
        raise PictureError(
            f"None of {len(unreadable)} files could be read as a picture, the first being {unreadable[0]}."
        )
    return PictureSet(
        torch.stack(pixels), unreadable, None if labels is None else torch.tensor([labels[number] for number in known])
    )
