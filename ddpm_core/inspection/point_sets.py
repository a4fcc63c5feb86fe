"""Sets of points in the plane, in two colours, to diffuse: (N, 2) and (N,) each, of mean 0 and deviation 1."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import cache

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ddpm_core.errors import UserError

COUNT = 200  # points of a shape
MOST_DRAWN = 600
WORD = "ddpm"

PointSet = tuple[Tensor, Tensor]  # points (N, 2), numbers of their colours (N,)


def standardised(points: Tensor, labels: Tensor) -> PointSet:
    """Points (N, 2) moved and scaled, alike in both coordinates, to mean 0 and root mean square 1."""
    centred = points.float() - points.float().mean(0)  # (N, 2)
    return centred / centred.square().mean().sqrt().clamp_min(1e-6), labels


@cache
def spiral() -> PointSet:
    """Two arms of a spiral, a colour each."""
    along = torch.linspace(0.15, 1, COUNT // 2).sqrt()  # (N/2,)
    turn = along * 3 * math.pi
    arm = torch.stack([along * turn.cos(), along * turn.sin()], 1)  # (N/2, 2)
    return standardised(torch.cat([arm, -arm]), _halves())


@cache
def moons() -> PointSet:
    """Two half circles that reach into each other."""
    turn = torch.linspace(0, math.pi, COUNT // 2)
    upper = torch.stack([turn.cos(), turn.sin()], 1)  # (N/2, 2)
    lower = torch.stack([1 - turn.cos(), 0.5 - turn.sin()], 1)
    return standardised(torch.cat([upper, lower]), _halves())


@cache
def rings() -> PointSet:
    """A ring in a ring."""
    turn = torch.arange(COUNT // 2) * (4 * math.pi / COUNT)
    ring = torch.stack([turn.cos(), turn.sin()], 1)  # (N/2, 2)
    return standardised(torch.cat([ring, 0.45 * ring]), _halves())


@cache
def letters() -> PointSet:
    font = ImageFont.load_default(48)
    _, top, right, bottom = (round(extent) for extent in font.getbbox(WORD))
    sheet = Image.new("L", (right + 1, bottom + 1))
    ImageDraw.Draw(sheet).text((0, 0), WORD, 255, font)
    ink = [(x, y) for y in range(top, bottom + 1) for x in range(right + 1) if sheet.getpixel((x, y)) > 127]  # type: ignore[operator]
    some = torch.randperm(len(ink), generator=torch.Generator().manual_seed(0))[
        : COUNT * 3 // 2
    ]  # rows show no pattern
    chosen = torch.tensor(ink, dtype=torch.float32)[some]  # (N, 2)
    middle = font.getlength(WORD[: len(WORD) // 2])
    return standardised(chosen * torch.tensor([1.0, -1.0]), (chosen[:, 0] >= middle).long())


def _halves() -> Tensor:
    return torch.arange(COUNT) // (COUNT // 2)


SHAPES: dict[str, Callable[[], PointSet]] = {"spiral": spiral, "moons": moons, "rings": rings, "letters": letters}


@cache
def drawn_points(text: str) -> PointSet:
    """Points drawn by hand, from a JSON list of [x, y]; those on the right are of the second colour.

    Raises:
        UserError: it is no such list, too long or too short, or a point lies outside.
    """
    try:
        given = json.loads(text or "[]")
        points = torch.tensor([[float(x), float(y)] for x, y in given])  # (N, 2)
    except (ValueError, TypeError, RecursionError):
        raise UserError('points drawn are a list of [x, y], such as "[[0, 1], [1, 0]]".') from None
    if not 2 <= len(points) <= MOST_DRAWN:
        raise UserError(f"draw from 2 to {MOST_DRAWN} points; there are {len(points)}.")
    if not (points.abs() <= 3).all():  # also where one is no number
        raise UserError("points drawn must lie between -3 and 3, both across and down.")
    return points, (points[:, 0] > points[:, 0].median()).long()
