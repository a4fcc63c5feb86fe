"""Tensors larger than memory: rows of a safetensors file, written as made, read as asked for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ddpm_core.checkpoints.atomic import CheckpointError, UnwritableError, reading, write_atomically

IN_MEMORY = 2**28  # bytes: a tensor that takes more has its place in a file
CHUNK = 2**24  # bytes, about, of what is read or moved at once
HEADER = 4096  # bytes kept free for the header, whose length is known last
KINDS = {"U8": torch.uint8, "F32": torch.float32}  # numbers that are stored, as safetensors calls them
NUMPY = {torch.uint8: np.uint8, torch.float32: np.float32}


class StoredTensor:
    """A tensor (N, ...) in a file, of which `stored[index]` reads rows, by numbers or a slice.

    The file is mapped only while rows are read, and never counts as this process's memory.
    """

    def __init__(self, path: Path, dtype: torch.dtype, shape: tuple[int, ...], offset: int):
        self.path, self.dtype, self.shape, self.offset = path, dtype, torch.Size(shape), offset

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        """Rows (B, ...), a copy. Raises `CheckpointError` where the file is gone or cut short."""
        if not len(self):
            return torch.empty(self.shape, dtype=self.dtype)[index]
        try:
            rows = np.memmap(self.path, NUMPY[self.dtype], "r", self.offset, tuple(self.shape))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{self.path} can no longer be read ({error}); go on with --resume.") from None
        return torch.from_numpy(np.array(rows[index if isinstance(index, slice) else index.numpy()]))

    def chunks(self) -> Iterator[Tensor]:
        """All rows in order, a bounded number at a time."""
        at_once = rows_at_once(self.nbytes // max(1, len(self)))
        for first in range(0, len(self), at_once):
            yield self[first : first + at_once]


def chunks_of(tensor: Tensor | StoredTensor) -> Iterator[Tensor]:
    """All of a tensor in order; what is in memory at once."""
    return tensor.chunks() if isinstance(tensor, StoredTensor) else iter([tensor])


def rows_at_once(size: int) -> int:
    """How many rows of `size` bytes are read or moved at once."""
    return max(1, CHUNK // max(1, size))


def open_stored(path: Path) -> tuple[dict[str, StoredTensor], dict[str, str]]:
    """The tensors of a safetensors file, none of which is read, and its metadata.

    Raises:
        CheckpointError: the file is missing or not whole, or has numbers of another kind.
    """
    with reading(path), open(path, "rb") as file:
        # Its first bytes are the length of the header, the header is JSON, and numbers follow.
        length = int.from_bytes(file.read(8), "little")
        if length > path.stat().st_size:
            raise ValueError("its header is longer than the file")
        header = json.loads(file.read(length))
        metadata = header.pop("__metadata__", {})
        found = {}
        for name, each in header.items():
            first, end = each["data_offsets"]
            stored = StoredTensor(path, KINDS[each["dtype"]], tuple(each["shape"]), 8 + length + first)
            if stored.nbytes != end - first or 8 + length + end > path.stat().st_size:
                raise ValueError(f"{name} is cut short")
            found[name] = stored
        return found, metadata


class Place(NamedTuple):
    """Where a tensor lies among the numbers of a file being written."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    first: int

    @property
    def row(self) -> int:
        """Bytes of one of its rows."""
        return prod(self.shape[1:]) * self.dtype.itemsize

    @property
    def end(self) -> int:
        return self.first + self.shape[0] * self.row


@dataclass
class TensorWriter:
    """A safetensors file being written: tensors one behind the other, their rows in any order."""

    file: BinaryIO
    places: dict[str, Place]

    def add(self, name: str, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
        """Make room for a tensor behind the others."""
        self.places[name] = Place(dtype, shape, max((place.end for place in self.places.values()), default=0))

    def put(self, name: str, first: int, rows: np.ndarray) -> None:
        """Write rows (B, ...) of a tensor, from number `first` on."""
        self._seek(name, first)
        self.file.write(np.ascontiguousarray(rows).data)

    def keep(self, name: str, rows: list[int]) -> None:
        """Keep only some rows of the last tensor, by rising numbers."""
        place = self.places[name]
        for to, row in enumerate(rows):
            if to != row:
                self._seek(name, row)
                content = self.file.read(place.row)
                self._seek(name, to)
                self.file.write(content)
        self.places[name] = place._replace(shape=(len(rows), *place.shape[1:]))

    def finish(self, metadata: Mapping[str, str]) -> None:
        """Write the header, and cut the file where its numbers end."""
        kinds = {dtype: kind for kind, dtype in KINDS.items()}
        entries = {
            name: {"dtype": kinds[place.dtype], "shape": place.shape, "data_offsets": [place.first, place.end]}
            for name, place in self.places.items()
        }
        header = json.dumps({"__metadata__": dict(metadata)} | entries).encode().ljust(HEADER)
        assert len(header) == HEADER
        self.file.truncate(8 + HEADER + max(place.end for place in self.places.values()))
        self.file.seek(0)
        self.file.write(HEADER.to_bytes(8, "little") + header)

    def _seek(self, name: str, row: int) -> None:
        place = self.places[name]
        self.file.seek(8 + HEADER + place.first + row * place.row)


def write_stored(path: Path, needed: int, fill: Callable[[TensorWriter], Mapping[str, str]]) -> None:
    """Have `fill` write tensors of `needed` bytes and return the metadata; atomically, and in bounded memory.

    Raises:
        UnwritableError: there is less room on the disk, said before anything is made, or it fills up.
    """
    path.unlink(missing_ok=True)  # what is there is of no use any more, and its room is needed
    refuse_full_disk(path, needed)

    def write(partial: Path) -> None:
        with open(partial, "w+b") as file:
            writer = TensorWriter(file, {})
            writer.finish(fill(writer))

    write_atomically(path, write)


def refuse_full_disk(path: Path, needed: int) -> None:
    """Raises `UnwritableError` if a new file of so many bytes has no room."""
    if not needed:
        return
    folder = next(parent for parent in path.absolute().parents if parent.is_dir())
    free = shutil.disk_usage(folder).free
    if needed > free:
        reason = f"it takes {needed / 1e9:.1f} GB of the disk, and {free / 1e9:.1f} GB are free"
        raise UnwritableError(f"{path} cannot be written ({reason}).", reason)
