"""Paths and strengths over a picture, as pictures of their own."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw
from torch import Tensor

from ddpm_core.inspection.sheet import fitted

SIDE = 160  # pixels
SNAKE = 0.12  # of a path is the snake's length
INKS = ("#2563eb", "#d9480f", "#0f8a5f", "#9333ea", "#0891b2", "#b45309", "#be185d", "#4d7c0f")
STRONG = (224, 69, 123)


def strength_picture(picture: Image.Image, strength: Tensor, row: int, column: int) -> Image.Image:
    """The picture, pale, under the strength (h, w) of each cell, the square root of its fraction of the strongest."""
    fractions = (strength / strength.max().clamp_min(1e-30)).sqrt()  # (h, w)
    height, width = fractions.shape
    base = Image.blend(fitted(picture, SIDE).resize((SIDE, SIDE)), Image.new("RGB", (SIDE, SIDE), "white"), 0.65)
    mask = Image.new("L", (width, height))
    mask.putdata([round(255 * fraction) for fraction in fractions.flatten().tolist()])
    base.paste(STRONG, (0, 0, SIDE, SIDE), mask.resize((SIDE, SIDE), Image.Resampling.NEAREST))
    across, down = SIDE / width, SIDE / height
    box = (column * across, row * down, (column + 1) * across, (row + 1) * down)
    ImageDraw.Draw(base).rectangle(box, outline="black", width=2)
    return base


def snakes_picture(picture: Image.Image, paths: Sequence[Sequence[int]], width: int, fraction: float) -> Image.Image:
    """Snakes that have come a `fraction` (0 to 1) of their paths, over the pale picture; `width` in cells."""
    height = len(paths[0]) // width
    base = Image.blend(fitted(picture, SIDE).resize((SIDE, SIDE)), Image.new("RGB", (SIDE, SIDE), "white"), 0.65)
    draw = ImageDraw.Draw(base)
    for path, ink in zip(paths, INKS, strict=False):
        head = round(fraction * (len(path) - 1))
        snake = path[max(0, head - round(SNAKE * len(path))) : head + 1]
        points = [((cell % width + 0.5) * SIDE / width, (cell // width + 0.5) * SIDE / height) for cell in snake]
        if len(points) > 1:
            draw.line(points, ink, 3, joint="curve")
        x, y = points[-1]
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), ink)
    return base
