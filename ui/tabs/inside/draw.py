"""Figures and charts as HTML: pictures with captions, and lines in SVG in the page's colours."""

from __future__ import annotations

import base64
import html
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from PIL import Image

WIDTH, HEIGHT = 360, 220  # of a chart, in units that are pixels on a phone
LEFT, RIGHT, TOP, BOTTOM = 44, 14, 22, 34
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
COLOURS = 6  # `--series-0` to `--series-5`, as `ui.theme` has them

Point = tuple[float, float]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Figure:
    """A picture on the page.

    Attributes:
        strong: a number in the caption that is to be seen first.
        crisp: whether its pixels stay squares, as those of latents should.
        sets: values of controls that a press sets.
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
    """A picture as a data URI: nothing has to be fetched, or kept."""
    file = io.BytesIO()
    picture.save(file, format="PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        points: (x, y) each; those that are not finite are left out.
        name: what it is called under the chart.
        value: beside the name: where the line is at the marker.
        faint: whether it only stands beside the others.
        here: where its own place is, if it is not where the marker is: of lines whose points lie elsewhere.
    """

    points: Sequence[Point]
    name: str
    value: str = ""
    faint: bool = False
    here: Point | None = None


def chart(
    title: str,
    lines: Sequence[Line],
    x: str,
    y: str,
    at: float | None = None,
    y_range: Interval | None = None,
    logarithmic: bool = False,
) -> str:
    """Lines over a common axis, a marker at x = `at`, and their names below with the values they have there.

    Args:
        title: for the eye and for those who hear the page.
        x, y: names of the axes.
        y_range: else round numbers around the points. What lies beyond is cut off.
        logarithmic: along both axes; points and marker are given as they are, above 0.
    """
    scale = math.log10 if logarithmic else float
    points = [[(scale(a), scale(b)) for a, b in line.points if math.isfinite(a) and math.isfinite(b)] for line in lines]
    flat = [point for line in points for point in line]
    low_x, high_x = _range([a for a, _ in flat])
    low_y, high_y = y_range or _rounded(*_range([b for _, b in flat]))

    def place(a: float, b: float) -> str:
        left = LEFT + (a - low_x) / (high_x - low_x) * (WIDTH - LEFT - RIGHT)
        down = TOP + (high_y - min(max(b, low_y), high_y)) / (high_y - low_y) * (HEIGHT - TOP - BOTTOM)
        return f"{left:.1f},{down:.1f}"

    across, down = ((_powers if logarithmic else _steps)(low, high) for low, high in ((low_x, high_x), (low_y, high_y)))

    drawn = "".join(
        f'<polyline class="line{" faint" * line.faint}" style="stroke:{_colour(i)}" '
        f'points="{" ".join(place(a, b) for a, b in at_points)}"/>'
        for i, (line, at_points) in enumerate(zip(lines, points, strict=True))
    )
    (x0, y0), (x1, y1) = (place(low_x, low_y).split(","), place(high_x, high_y).split(","))
    axes = f'<path class="axis" d="M{x0} {y1}V{y0}H{x1}"/>'
    ticks = "".join(
        f'<text class="tick" text-anchor="end" x="{LEFT - 6}" y="{float(place(low_x, value).split(",")[1]) + 4:.1f}">'
        f"{said}</text>"
        for value, said in down
    ) + "".join(
        f'<text class="tick" text-anchor="middle" x="{place(value, low_y).split(",")[0]}" y="{HEIGHT - BOTTOM + 14}">'
        f"{said}</text>"
        for value, said in across
    )
    names = (
        f'<text class="name" text-anchor="middle" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}">'
        f"{html.escape(x)}</text>"
        f'<text class="name" x="{LEFT}" y="12">{html.escape(y)}</text>'
    )
    marker = ""
    if at is not None:
        here = min(max(scale(at), low_x), high_x)
        for i, (line, at_points) in enumerate(zip(lines, points, strict=True)):
            own = here if line.here is None else scale(line.here[0])
            height = _height(at_points, here) if line.here is None else scale(line.here[1])
            if not line.faint and height is not None:
                left, down_to = place(own, height).split(",")
                if own != here:  # what is said is nearest to the marker, not at it: a stroke leads there
                    marker += f'<path class="nearest" d="M{place(here, low_y).split(",")[0]} {down_to}H{left}"/>'
                marker += f'<circle class="place" cx="{left}" cy="{down_to}" r="3.5" style="fill:{_colour(i)}"/>'
        marker += f'<path class="marker" d="M{place(here, low_y).split(",")[0]} {y0}V{y1}"/>'
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
    """A line of plain words under what is drawn."""
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


def _height(points: Sequence[Point], at: float) -> float | None:
    """A line (points from left to right) at x = `at`; None where it is not."""
    for (a, b), (c, d) in pairwise(points):
        if a <= at <= c:
            return b if c == a else b + (d - b) * (at - a) / (c - a)
    return None


def _step(low: float, high: float) -> float:
    """A round distance, 1, 2 or 5 times a power of ten, of which some four lie between the two."""
    rough = (high - low) / 4
    power = 10 ** math.floor(math.log10(rough))
    return min((1, 2, 5, 10), key=lambda times: abs(times * power - rough)) * power


def _rounded(low: float, high: float) -> Interval:
    """The least range between round numbers around the two."""
    step = _step(low, high)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step


def _steps(low: float, high: float) -> list[tuple[float, str]]:
    """Round numbers along an axis, and how each is said."""
    step = _step(low, high)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [(i * step, f"{i * step + 0.0:.4g}") for i in range(first, last + 1)]


def _powers(low: float, high: float) -> list[tuple[float, str]]:
    """The same on a logarithmic axis: 1, 2 and 5 and their tenfolds, or some powers of ten."""
    first, last = math.ceil(low - 1e-9), math.floor(high + 1e-9)
    if last - first < 3:
        found = [(math.log10(times) + i, times * 10.0**i) for i in range(first - 1, last + 1) for times in (1, 2, 5)]
        return [(at, f"{value:.4g}") for at, value in found if low - 1e-9 <= at <= high + 1e-9]
    every = -(-(last - first) // 4)
    return [(i, f"10{str(i).translate(RAISED)}") for i in range(first, last + 1, every)]


def _colour(i: int) -> str:
    return f"var(--series-{i % COLOURS})"
