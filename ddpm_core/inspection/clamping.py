"""An inpainting step by step: what the model is shown and what it answers, by three rules of clamping."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from PIL import Image
from pydantic import Field
from torch import Tensor

from ddpm_core.diffusion.constraints import MASK_RULES
from ddpm_core.diffusion.prediction import Prediction, Predictor
from ddpm_core.evaluation.metrics import edge_steps
from ddpm_core.images.crop import Frame
from ddpm_core.images.masks import FACE_PARTS, face_mask
from ddpm_core.inspection.remember import finished, remembered_steps
from ddpm_core.inspection.subject import InsideRequest, Subject
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import MAX_SEED, InpaintRequest

# What sets the rules apart; that with resampling takes fewer steps, each several times, and so about as many calls.
RULES: dict[str, dict[str, Any]] = {
    "clean clamp": {"clamp": "clean", "resamples": 1},
    "noised clamp": {"clamp": "noised", "resamples": 1},
    "RePaint": {"clamp": "noised", "resamples": 4},
}
TINT = (224, 69, 123)  # of cells that are made anew

if TYPE_CHECKING:
    RegionName = str
else:
    RegionName = Literal[tuple(FACE_PARTS)]


class ClampRequest(InsideRequest):
    """An inpainting of a picture, and how far into it one looks."""

    region: RegionName = Field("eyes", description="what is made anew")
    fill: int = Field(1, ge=0, le=MAX_SEED, description="seed of what is made there")
    steps: int = Field(20, ge=4, le=60, description="reverse steps; by RePaint's rule a quarter, each taken four times")
    at: int = Field(50, ge=0, le=100, description="how far the run is, from 0, noise, to 100, the end")


class Moment(NamedTuple):
    """A call of the model: the state `t`, what it is shown there and what it answers, (1, C, h, w) each."""

    t: int
    shown: Tensor
    answer: Tensor


@dataclass(frozen=True, eq=False)
class Run:
    """An inpainting by one rule."""

    moments: list[Moment]  # one for every call of the model
    latent: Tensor  # (1, C, h, w), the end
    # decoded, filled: the end as the decoder has it, and with kept pixels pasted back
    decoded: Image.Image
    filled: Image.Image
    # changed_by_decoding, changed: how many of the kept pixels differ, in the one and in the other
    changed_by_decoding: int
    changed: int
    edge: float  # see `edge`


@dataclass(frozen=True, eq=False)
class Runs:
    """The same inpainting by all rules."""

    by_rule: dict[str, Run]  # by the names in `RULES`
    cells: Tensor  # bool (1, 1, h, w), True where cells are made anew
    kept: int  # pixels that are kept
    picture: Image.Image  # the subject with those cells tinted
    edge: float  # as `Run.edge`, in the untouched picture


def requests_of(request: ClampRequest) -> dict[str, InpaintRequest]:
    """The inpainting that each rule makes; all start from one seed."""
    made = {}
    for name, rule in RULES.items():
        steps = max(2, round(request.steps / rule["resamples"]) + (rule["resamples"] > 1))
        made[name] = InpaintRequest(seed=request.fill, steps=steps, crop="whole", **rule)
    return made


def runs(model: LatentDiffusion, subject: Subject, request: ClampRequest) -> Runs:
    """The inpainting by every rule. Raises `UserError` if the model always wants a class."""
    return finished(runs_under_way(model, subject, request))


def runs_under_way(
    model: LatentDiffusion, subject: Subject, request: ClampRequest
) -> Generator[Mapping[str, list[Moment]], None, Runs]:
    """As `runs`; on the way, what each rule's run has come to, after every call of the model."""
    return _runs(model, subject, request.region, request.fill, request.steps)


@remembered_steps(4)
def _runs(
    model: LatentDiffusion, subject: Subject, region: str, fill: int, steps: int
) -> Generator[Mapping[str, list[Moment]], None, Runs]:
    request = ClampRequest(region=region, fill=fill, steps=steps)
    painted = face_mask(region, subject.picture)  # bool (S, S)
    mask = torch.from_numpy(painted)[None, None]  # (1, 1, S, S)
    asked = requests_of(request)
    frames = {name: model.frame(inpainting, subject.picture, painted) for name, inpainting in asked.items()}
    moments: dict[str, list[Moment]] = {name: [] for name in asked}
    latents: dict[str, Tensor] = {}
    runs_of_rules = [recorded(model, inpainting, frames[name]) for name, inpainting in asked.items()]
    for taken in zip_longest(*runs_of_rules):
        for name, step in zip(asked, taken, strict=True):
            if step is not None:
                moment, latents[name] = step
                moments[name].append(moment)
        yield moments
    made = {}
    for name, frame in frames.items():
        (decoded,) = model.pictures(latents[name])
        filled = frame.paste(decoded)
        before, after = (changed_pixels(subject.picture, one, ~painted) for one in (decoded, filled))
        made[name] = Run(moments[name], latents[name], decoded, filled, before, after, edge(filled, painted))
    cells = MASK_RULES["safe"](mask, model.codec.stride)  # (1, 1, h, w)
    shown = tinted(subject.picture, cells, model.codec.stride)
    return Runs(made, cells, int((~painted).sum()), shown, edge(subject.picture, painted))


def recorded(model: LatentDiffusion, request: InpaintRequest, frame: Frame) -> Iterator[tuple[Moment, Tensor]]:
    """An inpainting call by call, and the latent (1, C, h, w) after that step."""
    moments: list[Moment] = []

    def record(predict: Predictor) -> Predictor:
        def watched(noisy: Tensor, t: Tensor) -> Prediction:
            said = predict(noisy, t)
            moments.append(Moment(int(t[0]), noisy, model.diffuser.denoised(noisy, said.eps, t)))
            return said

        return watched

    for step in model.with_wrapper(record).inpaint(request, frame.image(), frame.mask()):
        yield moments[-1], step.latent


def moment_at(run: Run, at: int) -> Moment:
    """The moment `at` percent into a run."""
    return run.moments[call_at(run, at)]


def call_at(run: Run, at: int) -> int:
    """Which call of the model is nearest to `at` percent of a run, from 0."""
    return round(at / 100 * (len(run.moments) - 1))


def moved_kept(answer: Tensor, anchor: Tensor, cells: Tensor) -> float:
    """How far an answer (1, C, h, w) would move the kept cells from `anchor`: root mean square, in deviations.

    `cells`, bool (1, 1, h, w), are those made anew.
    """
    kept = (~cells).to(answer.device).expand_as(answer)  # (1, C, h, w)
    return (answer - anchor)[kept].square().mean().sqrt().item()


def put_back(answer: Tensor, anchor: Tensor, cells: Tensor) -> Tensor:
    """An answer (1, C, h, w) with the kept cells those of `anchor`, as in `moved_kept`."""
    return torch.where(cells.to(answer.device), answer, anchor)  # (1, C, h, w)


def changed_pixels(before: Image.Image, after: Image.Image, where: np.ndarray) -> int:
    """How many of the pixels in `where`, bool (H, W), differ."""
    first, second = (np.asarray(one.convert("RGB")) for one in (before, after))
    return int((first != second).any(2)[where].sum())


def edge(picture: Image.Image, painted: np.ndarray) -> float:
    """Mean difference of neighbouring pixels across the edge of what is painted, of 255 (`metrics.edge_steps`)."""
    return float(edge_steps(np.asarray(picture.convert("RGB")), painted).mean())


def tinted(picture: Image.Image, cells: Tensor, stride: int) -> Image.Image:
    """The picture with some cells, bool (1, 1, h, w), tinted."""
    mask = cells[0, 0].cpu().numpy().repeat(stride, 0).repeat(stride, 1)  # (H, W)
    pixels = np.asarray(picture.convert("RGB")).copy()
    pixels[mask] = (pixels[mask] * 0.35 + np.array(TINT) * 0.65).astype(np.uint8)
    return Image.fromarray(pixels)
