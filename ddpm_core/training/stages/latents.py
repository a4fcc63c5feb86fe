"""Latents of all pictures, made once per run and kept beside it, since encoding a large set takes minutes.

What is kept is what was made, bit for bit (so a resumed run is the run it resumes), together with a fingerprint of all
that it was made from: other pictures, other weights or other flips, and it is made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_core.checkpoints.native import CheckpointError, read_tensors, write_tensors
from ddpm_core.data.load import PictureSet
from ddpm_core.networks.codec import Codec

ENCODED = 32  # pictures encoded at once
LATENTS = "latents.safetensors"


class Views(NamedTuple):
    """Pictures as they are encoded: alone, or each batch followed by its mirror images."""

    pictures: PictureSet
    flips: bool


@torch.inference_mode()
def encoded(codec: Codec, views: Views) -> Tensor:
    """Latents (N, C, h, w) of pictures, on the CPU; 2N with their mirror images."""
    device, latents = codec.latent_mean.device, []
    for image in views.pictures.batches(ENCODED):
        for view in (image, image.flip(3)) if views.flips else (image,):
            latents.append(codec.encode(view.to(device)).cpu())
    return torch.cat(latents)


def kept(codec: Codec, parts: Mapping[str, Views], file: Path, write: bool = True) -> dict[str, Tensor]:
    """What `encoded` makes of each part, from `file` if that has it, which is then written if `write` allows it.

    A file that is damaged or of something else counts as none, and one that cannot be written (a full disk) is done
    without.
    """
    origin = {f"{name} of": fingerprint(codec, views) for name, views in parts.items()}
    with contextlib.suppress(CheckpointError):
        latents, said = read_tensors(file)
        if said == origin | _digests(latents):
            return latents
    latents = {name: encoded(codec, views) for name, views in parts.items()}
    if write:
        with contextlib.suppress(OSError):
            write_tensors(file, latents, origin | _digests(latents))
    return latents


def fingerprint(codec: Codec, views: Views) -> str:
    """SHA-256 of all that latents depend on: how the codec is built, its weights, the pixels, and the flips."""
    shape = f"{codec!r} stride {codec.stride} flips {views.flips}"
    return digest(*codec.state_dict().values(), views.pictures.pixels, said=shape)


def _digests(latents: Mapping[str, Tensor]) -> dict[str, str]:
    """What tells whether latents are still what was written, by their names."""
    return {name: digest(latent) for name, latent in latents.items()}


def digest(*tensors: Tensor, said: str = "") -> str:
    """SHA-256 of tensors: their types, shapes and bytes, and of what is `said` besides."""
    state = hashlib.sha256(said.encode())
    for tensor in tensors:
        state.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        state.update(tensor.detach().cpu().contiguous().numpy().reshape(-1).data)
    return state.hexdigest()
