"""How noise covers a picture: any state of it, and the schedules that say how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import torch
from PIL import Image
from pydantic import Field

from ddpm_core.aliases import Aliases
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.noise import SeededNoise
from ddpm_core.diffusion.schedules import SCHEDULE_ALIASES, SCHEDULES
from ddpm_core.images.files import to_pictures
from ddpm_core.inspection.remember import remembered
from ddpm_core.inspection.subject import MOST_STATES, InsideRequest, Subject, channels, check_state
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import MAX_SEED

OWN = "checkpoint"  # the checkpoint's own schedule
EVERY = 8  # states from one point of a curve to the next

if TYPE_CHECKING:
    ScheduleName = str
else:
    ScheduleName = Annotated[Literal[(OWN, *SCHEDULES)], Aliases(SCHEDULE_ALIASES)]


class NoiseRequest(InsideRequest):
    """A picture at one state of the noising process."""

    t: int = Field(300, ge=0, le=MOST_STATES - 1, description="state, from 0, the picture itself, to the last, noise")
    schedule: ScheduleName = Field(OWN, description="noise schedule; the checkpoint's own, or another for comparison")
    noise: int = Field(0, ge=0, le=MAX_SEED, description="seed of the noise that is laid over it")


@dataclass(frozen=True)
class Noised:
    """A picture under noise."""

    pixels: Image.Image  # noise laid on the pixels themselves
    decoded: Image.Image  # noise laid on the latent, decoded: what latent diffusion noises
    channels: list[Image.Image]  # that latent, a grey picture per channel
    alpha_bar: float  # share of the signal's variance that is left (Ho et al. 2020, eq. 4)
    log_snr: float  # logarithm of alpha_bar / (1 - alpha_bar); infinite at state 0


class Level(NamedTuple):
    """How much noise a state has, as in `Noised`."""

    alpha_bar: float
    log_snr: float


def diffuser_of(model: LatentDiffusion, schedule: str) -> Diffuser:
    """The model's diffuser, or one with another schedule."""
    own = model.diffuser
    return own if schedule == OWN else Diffuser(own.num_timesteps, own.beta_start, own.beta_end, schedule)


@torch.inference_mode()
def noised(model: LatentDiffusion, subject: Subject, request: NoiseRequest) -> Noised:
    """State t of a picture (`Diffuser.add_noise`). Raises `UserError` if there is none."""
    check_state(model, request.t)
    diffuser, t = diffuser_of(model, request.schedule), torch.full((1,), request.t)
    on_pixels, on_latent = (
        diffuser.add_noise(clean, SeededNoise([request.noise], clean.shape[1:], clean.device)(), t)
        for clean in (subject.image, subject.latent)
    )  # (1, 3, S, S), (1, C, h, w)
    return Noised(
        to_pictures(on_pixels)[0],
        model.pictures(on_latent)[0],
        channels(on_latent),
        *level(diffuser, request.t),
    )


def level(diffuser: Diffuser, t: int) -> Level:
    return Level(diffuser.alpha_bar[t].item(), 2 * diffuser.half_log_snr(t))


@remembered(1)
def schedule_curves(model: LatentDiffusion) -> dict[str, dict[int, Level]]:
    """The levels of the model's and all other schedules, by name, at some of the states."""
    states = sorted({1, *range(0, model.diffuser.num_timesteps, EVERY), model.diffuser.num_timesteps - 1})
    return {
        name: {t: level(diffuser, t) for t in states}
        for name in (OWN, *SCHEDULES)
        for diffuser in [diffuser_of(model, name)]
    }


def levels_at(model: LatentDiffusion, t: int) -> dict[str, Level]:
    """The level of state `t` by every schedule's name, the model's own first."""
    check_state(model, t)
    return {name: level(diffuser_of(model, name), t) for name in (OWN, *SCHEDULES)}
