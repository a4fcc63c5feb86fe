"""Figures and charts as HTML: pictures with words under them, and lines in SVG that follow the page's colours."""

from __future__ import annotations

import base64
import html
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

WIDTH, HEIGHT = 360, 220  # of a chart, in units that are pixels on a phone
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 22, 34
COLOURS = 6  # `--series-0` to `--series-5`, as `ui.theme` has them

Point = tuple[float, float]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Figure:
    """A picture on the page.

    Attributes:
        picture, caption: it, and what stands under it.
        strong: a number in the caption that is to be seen first.
        crisp: whether its pixels stay squares, as those of latents should.
        sets: values of controls that a press on it sets.
    """

    picture: Image.Image
    caption: str
    strong: str = ""
    crisp: bool = False
    sets: Mapping[str, Any] | None = None


def figures(shown: Sequence[Figure], small: bool = False) -> str:
    """Figures side by side, as many as there is room for; `small` ones are thumbnails."""
    return f'<div class="figures{" small" * small}">' + "".join(map(_figure, shown)) + "</div>"


def _figure(one: Figure) -> str:
    words = html.escape(one.caption)
    strong = f"<strong>{html.escape(one.strong)}</strong> " if one.strong else ""
    crisp = ' class="crisp"' if one.crisp else ""
    image = f'<img{crisp} src="{data_uri(one.picture)}" alt="{html.escape(f"{one.caption} {one.strong}".strip())}">'
    if one.sets is not None:
        image = f"<button type='button' data-set='{html.escape(json.dumps(dict(one.sets)))}'>{image}</button>"
    return f"<figure>{image}<figcaption>{strong}{words}</figcaption></figure>"


def data_uri(picture: Image.Image) -> str:
    """A picture as the address of itself: nothing has to be fetched, or kept."""
    file = io.BytesIO()
    picture.save(file, format="PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        points: (x, y) each; those that are not finite are left out.
        name: what it is called under the chart.
        value: a number said beside the name: where the line is at the marker.
        faint: whether it only stands beside the others.
    """

    points: Sequence[Point]
    name: str
    value: str = ""
    faint: bool = False


def chart(
    title: str, lines: Sequence[Line], x: str, y: str, at: float | None = None, y_range: Interval | None = None
) -> str:
    """Lines over a common axis, a marker at x = `at`, and their names below with the values they have there.

    Args:
        title: what one sees, for the eye and for those who hear the page.
        x, y: what runs along the axes.
        y_range: least and greatest y; else as the points have it. What lies beyond is cut off.
    """
    points = [[(a, b) for a, b in line.points if math.isfinite(a) and math.isfinite(b)] for line in lines]
    flat = [point for line in points for point in line]
    low_x, high_x = _range([a for a, _ in flat])
    low_y, high_y = y_range or _range([b for _, b in flat])

    def place(a: float, b: float) -> str:
        left = LEFT + (a - low_x) / (high_x - low_x) * (WIDTH - LEFT - RIGHT)
        down = TOP + (high_y - min(max(b, low_y), high_y)) / (high_y - low_y) * (HEIGHT - TOP - BOTTOM)
        return f"{left:.1f},{down:.1f}"

    drawn = "".join(
        f'<polyline class="line{" faint" * line.faint}" style="stroke:{_colour(i)}" '
        f'points="{" ".join(place(a, b) for a, b in at_points)}"/>'
        for i, (line, at_points) in enumerate(zip(lines, points, strict=True))
    )
    (x0, y0), (x1, y1) = (place(low_x, low_y).split(","), place(high_x, high_y).split(","))
    axes = f'<path class="axis" d="M{x0} {y1}V{y0}H{x1}"/>'
    ticks = "".join(
        f'<text class="tick" text-anchor="end" x="{LEFT - 6}" y="{float(place(low_x, value).split(",")[1]) + 4:.1f}">'
        f"{value:.3g}</text>"
        for value in (low_y, (low_y + high_y) / 2, high_y)
    ) + "".join(
        f'<text class="tick" text-anchor="{anchor}" x="{place(value, low_y).split(",")[0]}" y="{HEIGHT - BOTTOM + 14}">'
        f"{value:.4g}</text>"
        for value, anchor in ((low_x, "start"), (high_x, "end"))
    )
    names = (
        f'<text class="name" text-anchor="middle" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}">'
        f"{html.escape(x)}</text>"
        f'<text class="name" x="{LEFT}" y="12">{html.escape(y)}</text>'
    )
    marker = ""
    if at is not None:
        here = place(min(max(at, low_x), high_x), low_y).split(",")[0]
        marker = f'<path class="marker" d="M{here} {y0}V{y1}"/>'
    legend = "".join(
        f'<li><i style="background:{_colour(i)}"></i>{html.escape(line.name)}'
        + (f" <strong>{html.escape(line.value)}</strong>" if line.value else "")
        + "</li>"
        for i, line in enumerate(lines)
    )
    return (
        f'<figure class="chart"><figcaption>{html.escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">{axes}{ticks}{names}{drawn}'
        f"{marker}</svg><ul>{legend}</ul></figure>"
    )


def charts(*drawn: str) -> str:
    """Charts side by side where there is room."""
    return f'<div class="charts">{"".join(drawn)}</div>'


def note(text: str) -> str:
    """A line of words under what is drawn; `text` is plain."""
    return f'<p class="note">{html.escape(text)}</p>'


def finite(value: float) -> float | None:
    """A number for programs: JSON has no infinity."""
    return value if math.isfinite(value) else None


def decibels(value: float) -> str:
    """A PSNR in words."""
    return f"{value:.1f} dB" if math.isfinite(value) else "the same, bit for bit"


def _range(values: Sequence[float]) -> Interval:
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _colour(i: int) -> str:
    return f"var(--series-{i % COLOURS})"
