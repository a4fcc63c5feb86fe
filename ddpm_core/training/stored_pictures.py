"""A run's pictures where they take more than a little memory: decoded once, into a file beside the run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
import PIL
import torch
from PIL import Image
from torch import Tensor

from ddpm_core.checkpoints import stored
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.checkpoints.stored import TensorWriter, open_stored, refuse_full_disk, write_stored
from ddpm_core.data.load import NoPictures, PictureSet, assembled, load_pictures, memory_for
from ddpm_core.data.parquet import SUFFIX as PARQUET
from ddpm_core.images.files import Member, Source
from ddpm_core.training.distributed import World
from ddpm_core.training.settings import TrainRequest

FILES = {"train": "pictures.safetensors", "val": "held-out.safetensors"}  # in training/, by split of the data
VERSION = 1  # of how pictures are decoded and stored; with another one they are decoded anew

Watch = Callable[[Iterable[Source]], Iterable[Source]]


def file_for(request: TrainRequest, split: str, count: int) -> Path | None:
    """Where the squares of so many files of a split of the data have their place; None is memory."""
    large = memory_for(count, request.size, views_of(request, split)) > stored.IN_MEMORY
    return request.out / "training" / FILES[split] if large else None


def views_of(request: TrainRequest, split: str) -> int:
    """Squares of each file; one of what is held out."""
    return request.views if split == "train" else 1


def read_split(
    request: TrainRequest,
    split: str,
    paths: Sequence[Source],
    labels: Sequence[int],
    captions: Sequence[str] | None,
    world: World,
    watch: Watch,
    say: Callable[[str], object],
) -> PictureSet:
    """The pictures of a split of the data, "train" or "val", in memory or, if they are many, in a file of the run.

    Raises:
        NoPictures: not one file could be used.
        PictureError: there is not enough memory.
        UnwritableError: there is not enough room on the disk.
    """
    how: dict[str, Any] = {"size": request.size, "views": views_of(request, split), "zoom": request.zoom}
    how["seed"] = request.seed if split == "train" else 0
    annotations: dict[str, Any] = {"labels": labels, "captions": captions}
    file = file_for(request, split, len(paths))
    if file is None:
        if world.is_main:
            (request.out / "training" / FILES[split]).unlink(missing_ok=True)  # of more pictures, earlier
        return load_pictures(paths, **how, **annotations, watch=watch)
    origin = fingerprint(request.data, paths, how)
    if world.is_main and _unusable(file, origin) is None:
        if file.exists():
            say(f"The pictures are no longer as they were decoded into {file}, so they are decoded anew.")
        _decode(file, origin, paths, how, watch)
    world.barrier()  # the file is there
    unusable = _unusable(file, origin)
    if unusable is None:
        raise CheckpointError(f"{file} is not there; all processes need the same --out, on a disk that they share.")
    pixels = cast(Tensor, open_stored(file)[0]["pixels"])
    return assembled(pixels, paths, unusable, how["views"], **annotations)


def refuse_without_room(request: TrainRequest, splits: Mapping[str, Sequence[Source]]) -> None:
    """Raises `UnwritableError` if the disk has no room for the files that splits of the data still need."""
    needed = 0
    for split, paths in splits.items():
        file = file_for(request, split, len(paths))
        if file is not None and not file.exists():
            needed += memory_for(len(paths), request.size, views_of(request, split))
    refuse_full_disk(request.out / "training" / FILES["train"], needed)


class InFile:
    """Room for squares in a file being written; see `load.Room`."""

    def __init__(self, writer: TensorWriter):
        self.writer = writer

    def put(self, number: int, squares: np.ndarray) -> None:
        self.writer.put("pixels", number, squares)

    def kept(self, usable: list[int]) -> Tensor:
        self.writer.keep("pixels", usable)
        return torch.empty(0)  # they are read from the file, once it is whole


def _decode(file: Path, origin: str, paths: Sequence[Source], how: Mapping[str, Any], watch: Watch) -> None:
    """Write the squares of all files that can be used, and which cannot."""
    size, views = how["size"], how["views"]

    def fill(writer: TensorWriter) -> dict[str, str]:
        writer.add("pixels", torch.uint8, (len(paths), views, 3, size, size))
        try:
            skipped = load_pictures(paths, **how, watch=watch, room=InFile(writer)).skipped
        except NoPictures as none:  # which the other processes have to learn as well
            skipped = none.skipped
        number = {id(path): number for number, path in enumerate(paths)}
        unusable = {number[id(source)]: reason for source, reason in skipped}
        place = writer.places["pixels"]
        writer.places["pixels"] = place._replace(shape=(place.shape[0] * views, *place.shape[2:]))
        listed = np.frombuffer(json.dumps(unusable).encode(), np.uint8)
        writer.add("unusable", torch.uint8, listed.shape)
        writer.put("unusable", 0, listed)
        return {"of": origin}

    write_stored(file, memory_for(len(paths), size, views), fill)


def _unusable(file: Path, origin: str) -> dict[int, str] | None:
    """Which files could not be used, by number and why, if the squares of all others are there; else None."""
    with suppress(CheckpointError):
        tensors, metadata = open_stored(file)
        if metadata.get("of") == origin:
            listed = json.loads(bytes(tensors["unusable"][:].numpy()))
            return {int(number): reason for number, reason in listed.items()}
    return None


def fingerprint(data: Path, paths: Sequence[Source], how: Mapping[str, Any]) -> str:
    """SHA-256 of what squares depend on, as far as a listing tells: names, sizes, dates, and how they are cut."""
    cut = dict(how) if how["views"] > 1 else {"size": how["size"]}
    state = hashlib.sha256(f"{VERSION} {PIL.__version__} {sorted(cut.items())}".encode())
    members = any(isinstance(path, Member) for path in paths)
    around = [data] if data.is_file() else sorted(data.rglob(f"*{PARQUET}")) if members else []
    for file in around:
        state.update(_dated(file, data))
    for path in paths:
        if isinstance(path, Path):
            state.update(_dated(path, data))
        else:
            state.update(("-" if isinstance(path, Image.Image) else f"{path.name} {path.place}").encode() + b"\n")
    return state.hexdigest()


def _dated(file: Path, data: Path) -> bytes:
    """A file's name in the data, size and date; one that has just gone has none."""
    name = str(file.relative_to(data) if file.is_relative_to(data) else file.name)
    with suppress(OSError):
        status = file.stat()
        name += f" {status.st_size} {status.st_mtime_ns}"
    return name.encode(errors="surrogateescape") + b"\n"
