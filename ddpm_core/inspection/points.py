"""Diffusion of points in the plane by an exact predictor: nothing is trained, so all that is seen is the sampler's.

A point is a latent (2, 1, 1), so everything else is what makes pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor

from ddpm_core.diffusion.constraints import CLAMPS, Constraint, unconstrained
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.guidance import classifier_free_guidance
from ddpm_core.diffusion.noise import Noise, SeededNoise, starting_at
from ddpm_core.diffusion.prediction import LabelPredictor, Prediction, Predictor
from ddpm_core.diffusion.samplers import SAMPLERS, sample_loop
from ddpm_core.inspection.point_sets import SHAPES, drawn_points
from ddpm_core.inspection.remember import remembered
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import MAX_SEED, ClampName, Request, SamplerName

COLOURS = ("first", "second")
ANY = len(COLOURS)  # the null label
HOLD = {"nothing": None, "x": 0, "y": 1}  # the coordinate that is kept
GRID, EDGE = 13, 2.6  # arrows along a side, over the plane from -EDGE to EDGE
FINEST = 200  # steps of the ways that all others are held against
LADDER = (1, 2, 3, 5, 10, 20, 50)
NO_FRESH_NOISE = ("ddim", "euler", "heun", "dpm-solver++", "unipc")  # whose ways have a limit, the probability flow

if TYPE_CHECKING:
    ShapeName = str
else:
    ShapeName = Literal[(*SHAPES, "drawn")]


class PointsRequest(Request):
    """A run of many points at once, from noise to the points of a shape."""

    shape: ShapeName = Field("spiral", description="points that the noise is to become")
    seed: int = Field(0, ge=0, le=MAX_SEED, description="seed of the noise")
    count: int = Field(200, ge=1, le=1000, description="points that fly")
    steps: int = Field(20, ge=1, le=200, description="reverse steps")
    # No checkpoint's own, for no network is asked; and without fresh noise there is a limit to be held against.
    sampler: SamplerName = Field("dpm-solver++", description="how the steps are taken")
    eta: float = Field(0.0, ge=0, le=1, description="share of DDPM's noise that DDIM adds in its steps; DDIM only")
    colour: Literal["any", "first", "second"] = Field("any", description="colour of the points that are asked for")
    guidance: float = Field(1.0, ge=0, le=8, description="how closely the colour is followed, 1 for plainly")
    hold: Literal["nothing", "x", "y"] = Field("nothing", description="coordinate that is kept, as in an inpainting")
    at: float = Field(0.5, ge=-2.5, le=2.5, description="value that it is kept at")
    clamp: ClampName = Field("noised", description="how it is held: clean, or with the state's own noise")
    drawn: str = Field("", max_length=20_000, description='of the shape "drawn", a list of [x, y] in JSON')

    @field_validator("drawn")
    @classmethod
    def _drawn_are_points(cls, drawn: str) -> str:
        if drawn:
            drawn_points(drawn)
        return drawn

    def points(self) -> tuple[Tensor, Tensor]:
        """The shape's points, (N, 2), and their colours' numbers, (N,). Raises `UserError` without any."""
        return drawn_points(self.drawn) if self.shape == "drawn" else SHAPES[self.shape]()


def exact_predictor(points: Tensor, labels: Tensor, diffuser: Diffuser) -> LabelPredictor:
    """What a network trained for ever on points (N, 2) of colours `labels` (N,) would predict: the posterior mean.

    x0 = sum_i w_i x_i with w_i the softmax of -|z - alpha x_i|^2 / (2 sigma^2) (Karras et al. 2022, "Elucidating the
    Design Space", eq. 57); a prediction for `ANY` is the mean of all.
    """
    half_squares = points.square().sum(1) / 2  # (N,)

    def predict(noisy: Tensor, t: Tensor, colour: Tensor) -> Prediction:
        alpha, sigma = diffuser.signal_and_noise(t, noisy)  # (B, 1, 1, 1) each
        # |z - alpha x|^2 without its |z|^2, which is the same for all points and so drops out of the softmax.
        near = alpha.flatten(1) * (noisy.flatten(1) @ points.T) - alpha.flatten(1).square() * half_squares  # (B, N)
        log_weights = near / sigma.flatten(1).square()  # (B, N)
        other = (colour[:, None] != labels) & (colour[:, None] != ANY)  # (B, N)
        weights = log_weights.masked_fill(other, -torch.inf).softmax(1)  # (B, N)
        clean = (weights @ points)[:, :, None, None]  # (B, 2, 1, 1)
        return Prediction((noisy - alpha * clean) / sigma)

    return predict


def point_predictor(request: PointsRequest, diffuser: Diffuser) -> Predictor:
    """The exact predictor for what is asked for, guided to a colour."""
    predict = exact_predictor(*request.points(), diffuser)
    if request.colour == "any":
        return lambda noisy, t: predict(noisy, t, torch.full_like(t, ANY))
    return classifier_free_guidance(predict, COLOURS.index(request.colour), ANY, request.guidance)


def held_coordinate(request: PointsRequest, diffuser: Diffuser, noise: Noise) -> Constraint:
    """What keeps one coordinate, as an inpainting keeps cells."""
    if (axis := HOLD[request.hold]) is None:
        return unconstrained
    mask = torch.ones(1, 2, 1, 1, dtype=torch.bool)  # True where things are made anew
    mask[:, axis] = False
    return CLAMPS[request.clamp](torch.full((1, 2, 1, 1), request.at), mask, diffuser, noise)


@dataclass(frozen=True)
class Flight:
    """A run of points."""

    # points, labels: those of the shape, (N, 2) and (N,) as lists
    points: list[list[float]]
    labels: list[int]
    states: list[int]  # timesteps passed through, from the last to 0
    ways: list[list[list[float]]]  # where every point was in each of them, `[state][point]` -> (x, y)
    beliefs: list[list[list[float]]]  # where the predictor expected it to end, `[step][point]` -> (x, y)
    # minus the noise predicted on a grid, `[step][arrow]` -> (x, y, dx, dy): the score times sigma
    arrows: list[list[list[float]]]
    distance: float  # mean distance of an end to the nearest of the points asked for


@remembered(32)
@torch.inference_mode()
def flight(model: LatentDiffusion, request: PointsRequest) -> Flight:
    """Points on their way from noise to the shape, by the model's own `Diffuser`. Raises `UserError` where
    nothing is drawn.
    """
    diffuser = model.diffuser
    states, latents, beliefs = _run(diffuser, request)
    predict = point_predictor(request, diffuser)
    axis = torch.linspace(-EDGE, EDGE, GRID)
    grid = torch.cartesian_prod(axis, axis)[:, :, None, None]  # (GRID^2, 2, 1, 1)
    arrows = [torch.cat([grid, -predict(grid, torch.full((len(grid),), t)).eps], 1) for t in states[:-1]]
    points, labels = request.points()
    return Flight(
        _numbers(points), labels.tolist(), states, [_numbers(one) for one in latents],
        [_numbers(one) for one in beliefs], [_numbers(one) for one in arrows],
        distance_to_nearest(latents[-1].flatten(1), _asked_for(request)),
    )  # fmt: skip


def _run(diffuser: Diffuser, request: PointsRequest) -> tuple[list[int], list[Tensor], list[Tensor]]:
    """States passed through, the latents (B, 2, 1, 1) in each, and those predicted in each step."""
    noise = SeededNoise([request.seed], (request.count * 2, 1, 1))

    def draw() -> Tensor:
        return noise().view(request.count, 2, 1, 1)

    constrain = held_coordinate(request, diffuser, draw)
    start = draw()  # (B, 2, 1, 1)
    states = diffuser.spaced_timesteps(min(request.steps, diffuser.num_timesteps - 1))
    take_step = partial(SAMPLERS[request.sampler], **({"eta": request.eta} if request.eta else {}))
    predict = point_predictor(request, diffuser)
    run = list(sample_loop(take_step, predict, diffuser, states, starting_at(start, draw), constrain))
    return states, [start, *(step.latent for step in run)], [step.denoised for step in run]


def _asked_for(request: PointsRequest) -> Tensor:
    points, labels = request.points()
    return points if request.colour == "any" else points[labels == COLOURS.index(request.colour)]


def distance_to_nearest(ends: Tensor, points: Tensor) -> float:
    """Mean distance of `ends` (B, 2) to the nearest of `points` (N, 2)."""
    return torch.cdist(ends, points).min(1).values.mean().item()


@dataclass(frozen=True)
class Rung:
    """Where ways in so many steps end, and how far from others, on average."""

    steps: int
    ends: list[list[float]]
    finest: float | None  # those of `FINEST` steps of DPM-Solver++ from the same noise; None where fresh noise is drawn
    nearest: float  # the nearest point of the shape


def step_ladder(model: LatentDiffusion, request: PointsRequest) -> list[Rung]:
    """What the number of steps does to where the points land."""
    return _ladder(model, request.model_copy(update={"steps": LADDER[0]}))


@remembered(32)
@torch.inference_mode()
def _ladder(model: LatentDiffusion, request: PointsRequest) -> list[Rung]:
    exact = _finest(model, request.model_copy(update={"steps": 1, "sampler": "dpm-solver++", "eta": 0.0}))
    has_limit = request.sampler in NO_FRESH_NOISE and not request.eta and request.hold == "nothing"
    rungs = []
    for steps in LADDER:
        ends = _run(model.diffuser, request.model_copy(update={"steps": steps}))[1][-1].flatten(1)  # (B, 2)
        finest = (ends - exact).norm(dim=1).mean().item() if has_limit else None
        rungs.append(Rung(steps, _numbers(ends), finest, distance_to_nearest(ends, _asked_for(request))))
    return rungs


@remembered(8)
@torch.inference_mode()
def _finest(model: LatentDiffusion, request: PointsRequest) -> Tensor:
    return _run(model.diffuser, request.model_copy(update={"steps": FINEST}))[1][-1].flatten(1)  # (B, 2)


def _numbers(batch: Tensor) -> list[list[float]]:
    return [[round(value, 3) for value in one] for one in batch.flatten(1).tolist()]
