"""Latents of all pictures, made once per run and kept beside it, bit for bit, since encoding a large set takes minutes.

With other pictures, weights or flips, as a fingerprint tells, they are made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from ddpm_core.checkpoints import stored
from ddpm_core.checkpoints.atomic import CheckpointError, read_tensors, write_tensors
from ddpm_core.checkpoints.stored import StoredTensor, TensorWriter, chunks_of, open_stored, write_stored
from ddpm_core.data.load import PictureSet
from ddpm_core.images.low_resolution import low_resolution
from ddpm_core.networks.codec import Codec, PixelCodec
from ddpm_core.training.distributed import ALONE, World
from ddpm_core.training.pictures import Pictures
from ddpm_core.training.recolour import recolour
from ddpm_core.training.settings import TrainRequest

ENCODED = 32  # pictures encoded at once
# In training/.
LATENTS, RECOLOURED, LOW_RESOLUTION = "latents.safetensors", "recoloured.safetensors", "low_resolution.safetensors"


@dataclass
class LatentSet:
    """Latents to learn from, or held out."""

    clean: Tensor  # (N, C, h, w), normalised, on the CPU; of many pictures in a file
    labels: Tensor | None = None  # classes (N,), or None
    recoloured: Tensor | None = None  # (N, C, h, w), in another light (`recolour`), or None
    captions: list[str] | None = None  # N of them, or None
    condition: Tensor | None = None  # (N, C, h, w), in a lower resolution (`low_resolution`), or None


@dataclass(frozen=True)
class Views:
    """Pictures as they are encoded: mirrored, too, or not; in another light or not; at 1/factor of their resolution."""

    pictures: PictureSet
    flips: bool
    recoloured: bool = False
    factor: int = 1

    def __len__(self) -> int:
        return len(self.pictures) * (1 + self.flips)


def encode_pictures(
    request: TrainRequest,
    codec: Codec,
    pictures: Pictures,
    world: World = ALONE,
    recoloured: bool = False,
    factor: int = 1,
) -> tuple[LatentSet, LatentSet | None]:
    """Latents of the pictures to train on and of those held out; kept by the first process.

    If asked for, also those to train on in another light, and all at 1/`factor` of their resolution.
    """
    views = {"train": Views(pictures.train, request.flips)}
    if pictures.held_out:
        views["held_out"] = Views(pictures.held_out, flips=False)
    clean = _latents(codec, views, request.out / "training" / LATENTS, world)
    known = bool(pictures.classes)
    sets = {
        name: LatentSet(
            clean[name], labels_of(each) if known else None, captions=captions_of(each) if pictures.words else None
        )
        for name, each in views.items()
    }
    if recoloured:
        other_light = {"recoloured": replace(views["train"], recoloured=True)}
        latents = _latents(codec, other_light, request.out / "training" / RECOLOURED, world)
        sets["train"].recoloured = latents["recoloured"]
    if factor > 1:
        lower = {name: replace(each, factor=factor) for name, each in views.items()}
        for name, latent in _latents(codec, lower, request.out / "training" / LOW_RESOLUTION, world).items():
            sets[name].condition = latent
    return sets["train"], sets.get("held_out")


def _latents(codec: Codec, views: Mapping[str, Views], file: Path, world: World) -> dict[str, Tensor]:
    if bytes_of(codec, views.values()) > stored.IN_MEMORY:
        return cached_in_file(codec, views, file, world)
    if isinstance(codec, PixelCodec):  # made in no time, and several times as large as the pictures
        return {name: encoded(codec, each) for name, each in views.items()}
    return cached(codec, views, file, world.is_main)


def bytes_of(codec: Codec, views: Iterable[Views]) -> int:
    cells = sum(len(each) * (each.pictures.pixels.shape[2] // codec.stride) ** 2 for each in views)
    return cells * codec.latent_channels * torch.float32.itemsize


def encoded(codec: Codec, views: Views) -> Tensor:
    """Latents (N, C, h, w) of pictures, on the CPU; 2N with their mirror images."""
    latents, count = torch.empty(0), 0
    for batch in encoded_batches(codec, views):
        if not count:  # once for all, for many pieces would take twice as much and leave holes
            latents = torch.empty(len(views), *batch.shape[1:], dtype=batch.dtype)  # (N, C, h, w)
        latents[count : count + len(batch)] = batch
        count += len(batch)
    return latents


def encoded_batches(codec: Codec, views: Views) -> Iterator[Tensor]:
    """The same batch by batch, (B, C, h, w)."""
    device, count = codec.latent_mean.device, 0
    for image in views.pictures.batches(ENCODED):  # (B, 3, H, W)
        seeds = 2 * torch.arange(count, count + len(image))  # of a picture's light, and one more of its mirror image's
        count += len(image)
        for mirrored, view in enumerate((image, image.flip(3)) if views.flips else (image,)):
            if views.recoloured:
                view = recolour(view, seeds + mirrored)
            if views.factor > 1:
                view = low_resolution(view, views.factor)
            with torch.inference_mode():
                latents = codec.encode(view.to(device)).cpu()  # (B, C, h, w)
            yield latents


def labels_of(views: Views) -> Tensor | None:
    """The class (N,) of each latent that `encoded` makes; None if nobody knows."""
    labels = views.pictures.labels
    return None if labels is None else labels[_sources(views)]


def captions_of(views: Views) -> list[str] | None:
    """The caption of each latent that `encoded` makes; None if there are none."""
    captions = views.pictures.captions
    return None if captions is None else [captions[number] for number in _sources(views).tolist()]


def _sources(views: Views) -> Tensor:
    """The number (N,) of the picture that each latent is of."""
    batches = torch.arange(len(views.pictures)).split(ENCODED)
    return torch.cat([each for batch in batches for each in [batch] * (1 + views.flips)])


def cached(codec: Codec, views: Mapping[str, Views], file: Path, write: bool = True) -> dict[str, Tensor]:
    """What `encoded` makes of each, from `file` if that has it; else `file` is written if `write` allows it.

    A damaged or foreign file counts as none; one that cannot be written is done without.
    """
    origin = {f"{name} of": fingerprint(codec, each) for name, each in views.items()}
    with contextlib.suppress(CheckpointError):
        latents, metadata = read_tensors(file)
        if metadata == origin | _digests(latents):
            return latents
    latents = {name: encoded(codec, each) for name, each in views.items()}
    if write:
        with contextlib.suppress(OSError):
            write_tensors(file, latents, origin | _digests(latents))
    return latents


def cached_in_file(codec: Codec, views: Mapping[str, Views], file: Path, world: World) -> dict[str, Tensor]:
    """The same where they are many: `StoredTensor`s, made by the first process and read by all.

    Raises:
        UnwritableError: there is no room on the disk.
        CheckpointError: another process did not find what the first has written.
    """
    origin = {f"{name} of": fingerprint(codec, each) for name, each in views.items()}
    latents = _kept(file, origin) if world.is_main else None
    if world.is_main and latents is None:
        write_stored(file, bytes_of(codec, views.values()), partial(_encode, codec, views, origin))
        latents = open_stored(file)[0]
    world.barrier()  # they are written
    latents = latents if world.is_main else _kept(file, origin)
    if latents is None:
        raise CheckpointError(f"{file} is not there; all processes need the same --out, on a disk that they share.")
    return cast(dict[str, Tensor], latents)


def _kept(file: Path, origin: Mapping[str, str]) -> dict[str, StoredTensor] | None:
    """What a file has, if that is whole and of this origin."""
    with contextlib.suppress(CheckpointError):
        latents, metadata = open_stored(file)
        same = all(metadata.get(name) == each for name, each in origin.items())  # told without reading all of it
        if same and metadata == {**origin, **_digests(latents)}:
            return latents
    return None


def _encode(
    codec: Codec, views: Mapping[str, Views], origin: Mapping[str, str], writer: TensorWriter
) -> dict[str, str]:
    """Write the latents of all; returns the metadata that `cached` keeps with them."""
    digests = {}
    for name, each in views.items():
        state, count = hashlib.sha256(), 0
        for latents in encoded_batches(codec, each):
            if not count:
                shape = (len(each), *latents.shape[1:])
                writer.add(name, latents.dtype, shape)
                state.update(_kind(latents.dtype, shape))
            rows = latents.contiguous().numpy()
            state.update(rows.data)
            writer.put(name, count, rows)
            count += len(latents)
        digests[name] = state.hexdigest()
    return {**origin, **digests}


def fingerprint(codec: Codec, views: Views) -> str:
    """SHA-256 of all that latents depend on: the codec, its weights, the pixels, and the flips."""
    shape = f"{codec!r} stride {codec.stride} flips {views.flips}" + " recoloured" * views.recoloured
    shape += f" at 1/{views.factor}" if views.factor > 1 else ""
    return digest(*codec.state_dict().values(), views.pictures.pixels, prefix=shape)


def _digests(latents: Mapping[str, Tensor | StoredTensor]) -> dict[str, str]:
    """What tells whether latents are still what was written."""
    return {name: digest(latent) for name, latent in latents.items()}


def digest(*tensors: Tensor | StoredTensor, prefix: str = "") -> str:
    """SHA-256 of a text and of tensors: their types, shapes and bytes."""
    state = hashlib.sha256(prefix.encode())
    for tensor in tensors:
        state.update(_kind(tensor.dtype, tensor.shape))
        for chunk in chunks_of(tensor):
            state.update(chunk.detach().cpu().contiguous().numpy().reshape(-1).data)
    return state.hexdigest()


def _kind(dtype: torch.dtype, shape: Iterable[int]) -> bytes:
    return f"{dtype} {tuple(shape)}".encode()
