"""The picture that is looked into: one of a seed, or anybody's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from pydantic import Field
from torch import Tensor

from ddpm_core.diffusion.samplers import last
from ddpm_core.errors import UserError
from ddpm_core.images.files import open_picture, to_pictures, to_tensor
from ddpm_core.inspection.remember import remembered
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import MAX_SEED, GenerateRequest, Request

SUBJECTS = 8  # kept of each model
MOST_STATES = 1000  # a request can name no more; a diffuser may have fewer


class InsideRequest(Request):
    """What all views are asked: about which picture. An upload travels beside the request, and takes its place."""

    seed: int = Field(127, ge=0, le=MAX_SEED, description="seed of the picture looked into, where none is uploaded")


@dataclass(frozen=True, eq=False)
class Subject:
    """A picture as a model sees it. One that is asked for again is the same object, so it can be a key."""

    picture: Image.Image  # (S, S) RGB
    image: Tensor  # (1, 3, S, S) in [-1, 1], the same
    latent: Tensor  # (1, C, h, w), normalised: the codec's posterior mean


@torch.inference_mode()
def subject_of(model: LatentDiffusion, picture: Image.Image) -> Subject:
    """Any picture, cut to what the model sees (`LatentDiffusion.square`)."""
    square = model.square(picture)
    image = to_tensor(square).to(model.device)  # (1, 3, S, S)
    return Subject(square, image, model.codec.encode(image))


@remembered(SUBJECTS)
def subject_of_seed(model: LatentDiffusion, seed: int) -> Subject:
    """The picture that a seed makes with the default sampler and steps."""
    return subject_of(model, model.pictures(last(model.generate(model.request(GenerateRequest, seed=seed))).latent)[0])


def subject_of_file(model: LatentDiffusion, path: str | Path) -> Subject:
    """The picture in a file. Raises `PictureError` if it holds none."""
    about = Path(path).stat() if Path(path).is_file() else None
    return _subject_of_file(model, str(path), about and (about.st_mtime_ns, about.st_size))


@remembered(SUBJECTS)
def _subject_of_file(model: LatentDiffusion, path: str, changed: tuple[int, int] | None) -> Subject:
    return subject_of(model, open_picture(path))


def check_state(model: LatentDiffusion, t: int) -> None:
    """Raises `UserError` if the model's diffuser has no state `t`."""
    if t >= model.diffuser.num_timesteps:
        raise UserError(f"t must be at most {model.diffuser.num_timesteps - 1}, the last state of {model.name}.")


def decoded(model: LatentDiffusion, latent: Tensor) -> list[Image.Image]:
    """RGB pictures of normalised latents (B, C, h, w), one by one, which takes less memory."""
    return [model.pictures(one[None])[0] for one in latent]


def channels(latent: Tensor, limit: float = 3.0) -> list[Image.Image]:
    """Each channel of a latent (1, C, h, w) as a grey picture (h, w), -`limit` black and `limit` white."""
    return to_pictures((latent[0] / limit)[:, None].expand(-1, 3, -1, -1))  # (C, 3, h, w)
