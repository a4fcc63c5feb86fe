"""Pictures as squares, all of them, before the first training step: what a step needs is a row of one array.

Three bytes a pixel are asked for before anything is read, of memory or of a `Room` on the disk.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ddpm_core.data.find import HELD_OUT_FRACTION, NONE, find
from ddpm_core.images.files import Member, PictureError, Source, as_rgb, open_picture
from ddpm_core.machine import available_memory

ENLARGED = 8  # times, at most: of what is smaller, a square is a handful of pixels made to look like many
REDUCED = (
    3  # times, at least, what is left to resampling; measured on a photo, a JPEG so reduced differs by <= 2 of 255
)
THREADS = min(8, os.cpu_count() or 1)  # each holds a whole decoded picture
AHEAD = 4  # files per thread that are on their way; they come back as squares, which are small


def find_pictures(data: Path, fraction: float = HELD_OUT_FRACTION) -> dict[str, list[Source]]:
    """The pictures of a folder or archive, split into "train" and "val" by `find`, and its errors."""
    return find(data, NONE, fraction).sources


class Skipped(NamedTuple):
    """A file that was left out, and why, in a sentence."""

    source: Source
    reason: str


class NoPictures(PictureError):
    """Not one of some files could be used."""

    def __init__(self, skipped: list[Skipped]):
        super().__init__(f"None of {len(skipped)} files could be used as a picture; {skipped[0].reason}")
        self.skipped = skipped


class Room(Protocol):
    """Where squares are put while they are read."""

    def put(self, number: int, squares: np.ndarray) -> None:
        """Keep those (views, 3, size, size) of a file, by its number."""

    def kept(self, usable: list[int]) -> Tensor:
        """All of the files with these numbers, rising, (N * views, 3, size, size) uint8."""


class InMemory:
    """A `Room` in memory. Raises `PictureError` if there is not enough of it for all."""

    def __init__(self, files: int, size: int, views: int):
        needed, available = memory_for(files, size, views), available_memory()
        if available is not None and needed > available:
            raise PictureError(
                f"{files} files as {views} squares of {size} pixels each need {needed / 1e9:.1f} GB of memory, and "
                f"{available / 1e9:.1f} GB are free; choose a smaller --size, fewer --views or fewer pictures."
            )
        self.pixels = np.empty((files, views, 3, size, size), np.uint8)

    def put(self, number: int, squares: np.ndarray) -> None:
        self.pixels[number] = squares

    def kept(self, usable: list[int]) -> Tensor:
        for place, number in enumerate(usable):  # closes the gaps without a second array
            if place != number:
                self.pixels[place] = self.pixels[number]
        return torch.from_numpy(self.pixels[: len(usable)]).flatten(0, 1)


@dataclass
class PictureSet:
    """Pictures: `pixels` (N, 3, size, size) uint8, and the files that could not be used.

    `pixels` may be a `StoredTensor`. `labels` (N,) are classes by number and `captions` N of them; None without.
    """

    pixels: Tensor
    skipped: list[Skipped]
    labels: Tensor | None = None
    captions: list[str] | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def batch(self, index: Tensor, flip: Tensor | None = None) -> Tensor:
        """(B, 3, size, size) in [-1, 1] of the pictures numbered `index`, mirrored where `flip` (B,)."""
        image = self.pixels[index].float() / 127.5 - 1  # (B, 3, size, size)
        return image if flip is None else torch.where(flip[:, None, None, None], image.flip(3), image)

    def batches(self, size: int) -> Iterator[Tensor]:
        """All pictures in order, `size` at a time."""
        for start in range(0, len(self), size):
            yield self.batch(torch.arange(start, min(start + size, len(self))))


def load_pictures(
    paths: Iterable[Source],
    size: int,
    views: int = 1,
    zoom: float = 0.0,
    seed: int = 0,
    labels: Sequence[int] | None = None,
    captions: Sequence[str] | None = None,
    watch: Callable[[Iterable[Source]], Iterable[Source]] = iter,
    threads: int = THREADS,
    room: Room | None = None,
) -> PictureSet:
    """Read files as squares of `size` pixels (centre crop, Lanczos), the same with any number of threads.

    Left out and listed are files that are no whole picture and pictures to be enlarged more than `ENLARGED` times.

    Args:
        views: copies of each picture: the whole centre square, then random squares of it, up to `zoom` (a fraction of
            its side) smaller.
        seed: of the random squares, which belong to a file's number.
        watch: may wrap the files to show progress.
        room: where squares are put; in memory unless told.

    Raises:
        NoPictures: not one file could be used.
        PictureError: there is not enough memory for all.
    """
    paths = list(paths)
    room = InMemory(len(paths), size, views) if room is None else room
    draws = np.random.default_rng(seed).random((len(paths), 3 * views - 1))
    # What lies in an archive is taken in its order there; every file has its place in the result from the start.
    order = sorted(range(len(paths)), key=lambda number: _place(paths[number], number))
    unusable: dict[int, str] = {}

    def read(number: int, source: Source) -> np.ndarray:
        return _crops(source, size, zoom, views, draws[number].tolist())

    ordered = [paths[number] for number in order]
    for number, _, done in zip(order, watch(ordered), _started(read, order, ordered, threads), strict=True):
        try:
            room.put(number, done.result())
        except PictureError as error:
            unusable[number] = str(error)
    usable = [number for number in range(len(paths)) if number not in unusable]
    return assembled(room.kept(usable), paths, unusable, views, labels, captions)


def assembled(
    pixels: Tensor,
    paths: Sequence[Source],
    unusable: Mapping[int, str],
    views: int = 1,
    labels: Sequence[int] | None = None,
    captions: Sequence[str] | None = None,
) -> PictureSet:
    """The set of squares of all files but those `unusable`, by number and why; see `load_pictures`.

    Raises:
        NoPictures: not one file could be used.
    """
    skipped = [Skipped(paths[number], unusable[number]) for number in sorted(unusable)]
    usable = [number for number in range(len(paths)) if number not in unusable]
    if not usable:
        raise NoPictures(skipped)
    return PictureSet(
        pixels,
        skipped,
        None if labels is None else torch.tensor([labels[number] for number in usable]).repeat_interleave(views),
        None if captions is None else [captions[number] for number in usable for _ in range(views)],
    )


def memory_for(files: int, size: int, views: int = 1) -> int:
    """Bytes that `load_pictures` fills, in memory or its room."""
    return files * views * 3 * size**2


def _place(source: Source, number: int) -> int:
    return source.place if isinstance(source, Member) else number


def _started(
    read: Callable[[int, Source], np.ndarray], numbers: Iterable[int], sources: Iterable[Source], threads: int
) -> Iterator[Future]:
    """Have each file read by one of several threads, some at a time; in order, not all yet done."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future] = deque()
        for number, source in zip(numbers, sources, strict=True):
            try:
                waiting.append(pool.submit(read, number, _at_hand(source)))
            except PictureError as error:
                waiting.append(Future())
                waiting[-1].set_exception(error)
            if len(waiting) > AHEAD * threads:
                yield waiting.popleft()
        yield from waiting


def _at_hand(source: Source) -> Source:
    """A file in an archive with its bytes in memory: one thread reads it in order, all may decode."""
    if not isinstance(source, Member):
        return source
    content = source.read()
    return replace(source, content=lambda: content)


def _crops(source: Source, size: int, zoom: float, views: int, draws: Iterable[float]) -> np.ndarray:
    """(views, 3, size, size) of one file."""
    draw = iter(draws)
    picture = as_rgb(open_picture(source, side=math.ceil(REDUCED * size / (1 - zoom if views > 1 else 1))))
    side = min(picture.size)
    if side * ENLARGED < size:
        raise PictureError(
            f"{Path(str(source)).name} has only {picture.width} x {picture.height} pixels; "
            f"for squares of {size} it takes {-(-size // ENLARGED)} a side."
        )
    left, top = (picture.width - side) / 2, (picture.height - side) / 2
    crops = []
    for view in range(views):
        window = side * (1 - zoom * next(draw)) if view else side
        x, y = (left + (side - window) * next(draw), top + (side - window) * next(draw))
        tile = picture.resize((size, size), Image.Resampling.LANCZOS, box=(x, y, x + window, y + window))
        crops.append(np.asarray(tile).transpose(2, 0, 1))
    return np.stack(crops)  # (views, 3, size, size)
