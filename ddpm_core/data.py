"""Folders of pictures as training data, and what of them is held out."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ddpm_core.pictures import PictureError, as_rgb, open_picture

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
LABELS = "labels.csv"


def find_pictures(folder: Path) -> dict[str, list[Path]]:
    """The pictures below a folder, split into "train" and "val", each sorted by name.

    A `labels.csv` in the folder, or in the one above it, with columns `file` and `split` decides; without
    one, every twentieth picture is held out (none if there are fewer than twenty).

    Raises:
        PictureError: no such folder, or no picture in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise PictureError(f"{folder} is not a folder; --data needs a folder of pictures.")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise PictureError(f"There are no pictures in {folder} (looked for {', '.join(sorted(SUFFIXES))}).")
    for home in (folder, folder / ".."):
        if (home / LABELS).is_file():
            with open(home / LABELS, newline="", encoding="utf-8-sig") as file:
                held_out = {
                    (home / (row.get("file") or "")).resolve()
                    for row in csv.DictReader(file)
                    if row.get("split") == "val"
                }
            break
    else:
        held_out = {p.resolve() for p in paths[19::20]}
    split = {
        "train": [p for p in paths if p.resolve() not in held_out],
        "val": [p for p in paths if p.resolve() in held_out],
    }
    if not split["train"]:
        raise PictureError(f"Every picture in {folder} is held out by {LABELS}; nothing is left to train on.")
    return split


@dataclass
class PictureSet:
    """Pictures in memory: `pixels` (N, 3, size, size) uint8, and the files that could not be read."""

    pixels: Tensor
    unreadable: list[Path]

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


def load_pictures(paths: Iterable[Path], size: int, views: int = 1, zoom: float = 0.0, seed: int = 0) -> PictureSet:
    """Read files as squares of `size` pixels (centre crop, Lanczos), unreadable ones left out and listed.

    Args:
        views: copies of each picture; the first is the whole centre square, each further one a random
            square of it, up to `zoom` (a share of its side) smaller. Resampled from the original pixels.
        seed: of the random squares.

    Raises:
        PictureError: not one file could be read.
    """
    draw = np.random.default_rng(seed)
    pixels, unreadable = [], []
    for path in paths:
        try:
            picture = as_rgb(open_picture(path))
        except PictureError:
            unreadable.append(path)
            continue
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
    return PictureSet(torch.stack(pixels), unreadable)
