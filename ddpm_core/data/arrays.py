"""Pictures in a `.npz` in MNIST's layout: `x_train`, `y_train`, `x_test`, `y_test`.

Channels may be left out, first or last, and labels numbers or names, in a column or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ddpm_core.data.archives import DAMAGE
from ddpm_core.images.files import PictureError

NAMES = ("x_train", "y_train", "x_test", "y_test")
MULTIPLE = 8  # pixels; sides of arrays are brought to one, so MNIST's 28 become the 32 of LeCun et al. 1998
CHANNELS = (1, 3)  # of grey pictures and of those in colour


class Arrays(NamedTuple):
    """Pictures, each one's class (empty without), and whether it is of the test part, None if there is none.

    `unused` names further arrays.
    """

    pictures: list[Image.Image]
    labels: list[str]
    held_out: list[bool] | None
    unused: list[str]


def read(path: Path) -> Arrays:
    """All of a file.

    Raises:
        PictureError: it holds no arrays, they are in another layout, or none has a picture.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in NAMES if name in arrays}
            unused = sorted(set(arrays) - set(NAMES))
    except (*DAMAGE, TypeError) as error:  # the last: a single array under that name
        reason = (str(error).splitlines() or ["it is damaged"])[0].rstrip(".:")
        raise PictureError(f"{path} cannot be read as arrays: {reason}.") from None
    pictures: list[Image.Image] = []
    labels: list[str] = []
    held_out: list[bool] = []
    for split in ("train", "test"):
        if split == "test" and "x_test" not in found:
            break
        pixels = _pixels(path, f"x_{split}", found.get(f"x_{split}"), [*found, *unused])
        pictures += [Image.fromarray(picture) for picture in _padded(pixels)]
        labels += _labels(path, f"y_{split}", found.get(f"y_{split}"), len(pixels))
        held_out += [split == "test"] * len(pixels)
    if not pictures or all(held_out):
        raise PictureError(f"There are no pictures in {path}.")
    return Arrays(pictures, labels, held_out if "x_test" in found else None, unused)


def _pixels(path: Path, name: str, pixels: np.ndarray | None, names: list[str]) -> np.ndarray:
    """(N, H, W) of grey pictures or (N, H, W, 3) of those in colour."""
    if pixels is not None and pixels.ndim == 4 and pixels.shape[3] not in CHANNELS and pixels.shape[1] in CHANNELS:
        pixels = pixels.transpose(0, 2, 3, 1)  # as PyTorch has them; a last side of 1 or 3 is taken for the channels
    if pixels is not None and pixels.ndim == 4 and pixels.shape[3] == 1:
        pixels = pixels[..., 0]
    fits = pixels is not None and pixels.ndim in (3, 4) and pixels.shape[3:] in ((), (3,)) and all(pixels.shape[1:])
    if pixels is None or pixels.dtype != np.uint8 or not fits:
        shapes = "(N, H, W), (N, H, W, 3), (N, 3, H, W), or one with 1 in place of the 3"
        here = f"it is {pixels.dtype} {pixels.shape}" if pixels is not None else f"the arrays are: {', '.join(names)}"
        raise PictureError(f"{path} is not in MNIST's layout: {name} has to be uint8, {shapes}; {here}.")
    return pixels


def _labels(path: Path, name: str, labels: np.ndarray | None, count: int) -> Iterator[str]:
    if labels is None:
        return iter([""] * count)
    wrong = f"{path} is not in MNIST's layout: {name} has to be one number or name per picture"
    if labels.size != count or labels.shape[:1] != (count,):
        raise PictureError(f"{wrong}; it is {labels.dtype} {labels.shape} for {count} pictures.")
    labels = labels.reshape(-1)
    if labels.dtype.kind == "f":
        whole = labels.astype(np.int64) if np.isfinite(labels).all() else None
        if whole is None or (whole != labels).any():
            raise PictureError(f"{wrong}; some of its numbers are not whole.")
        labels = whole
    if labels.dtype.kind == "S":
        return (bytes(word).decode("utf-8", errors="replace").strip() for word in labels)
    if labels.dtype.kind not in "biuU":
        raise PictureError(f"{wrong}; it is {labels.dtype}.")
    return (str(word).strip() for word in labels.tolist())


def _padded(pixels: np.ndarray) -> np.ndarray:
    """(N, H, W, ...), edges continued until both sides are multiples of `MULTIPLE`."""
    short = [-side % MULTIPLE for side in pixels.shape[1:3]]
    border = [(missing // 2, missing - missing // 2) for missing in short]
    return np.pad(pixels, [(0, 0), *border, *[(0, 0)] * (pixels.ndim - 3)], mode="edge")
