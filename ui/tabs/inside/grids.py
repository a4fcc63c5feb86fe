"""The latent's grid over a picture, as SVG: cells to press, paths, and how strongly cells matter."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence

from PIL import Image

from ui.tabs.inside.draw import data_uri


def cells_over(
    picture: Image.Image,
    height: int,
    width: int,
    chosen: tuple[int, int],
    caption: str,
    strong: str = "",
    strength: Sequence[Sequence[float]] | None = None,
) -> str:
    """The picture under a grid of `height` x `width` cells, each of which sets `row` and `column`.

    By keyboard the grid is one stop: arrows move a frame over its cells, Enter presses the framed one (`view.PRESSED`).

    Args:
        chosen: (row, column) that is framed.
        strength: 0 or more for every cell; opacity is the square root of it over the strongest, so that the weak show.
    """
    most = max((value for row in strength for value in row), default=0) if strength is not None else 0
    drawn = []
    for row in range(height):
        for column in range(width):
            opacity = (strength[row][column] / most) ** 0.5 if strength is not None and most > 0 else 0
            sets = html.escape(json.dumps({"row": row, "column": column}))
            drawn.append(
                f"<rect class='cell' x='{column}' y='{row}' width='1' height='1' fill-opacity='{opacity:.3f}' "
                f"data-set='{sets}'/>"
            )
    faint = " faint" * (strength is not None)
    row, column = chosen
    grid = (
        f"<image class='under{faint}' href='{data_uri(picture)}' width='{width}' height='{height}' "
        f"preserveAspectRatio='none'/>{''.join(drawn)}"
        f"<rect class='chosen' x='{column}' y='{row}' width='1' height='1'/>"
        f"<rect class='keys' x='{column}' y='{row}' width='1' height='1'/>"
    )
    return _figure(grid, height, width, caption, strong, chosen)


def snake_over(picture: Image.Image, path: Sequence[int], height: int, width: int, caption: str, colour: int) -> str:
    """A path through the cells `y * width + x` over the picture, along which a snake crawls."""
    points = " ".join(f"{cell % width + 0.5:g},{cell // width + 0.5:g}" for cell in path)
    line = f"<polyline points='{points}' pathLength='100' style='stroke:var(--series-{colour})'"
    grid = (
        f"<image class='under faint' href='{data_uri(picture)}' width='{width}' height='{height}' "
        f"preserveAspectRatio='none'/>{line} class='track'/>{line} class='snake'/>"
    )
    return _figure(grid, height, width, caption)


def _figure(
    grid: str, height: int, width: int, caption: str, strong: str = "", chosen: tuple[int, int] | None = None
) -> str:
    said = f"{caption} {strong}".strip()
    first = f"<strong>{html.escape(strong)}</strong> " if strong else ""
    keys = "role='img'"
    if chosen is not None:
        said += ". Arrow keys go from cell to cell, Enter presses one."
        keys = f"role='application' tabindex='0' data-row='{chosen[0]}' data-column='{chosen[1]}'"
    return (
        f"<figure><svg class='cells' viewBox='0 0 {width} {height}' {keys} aria-label='{html.escape(said)}'>"
        f"{grid}</svg><figcaption>{first}{html.escape(caption)}</figcaption></figure>"
    )


def points_over(
    points: Sequence[Sequence[float]], ends: Sequence[Sequence[float]], edge: float, caption: str, steps: int
) -> str:
    """Points of a shape, pale, under those where a run ended, in the plane from -`edge` to `edge`; a press sets
    `steps`.
    """

    def dots(places: Sequence[Sequence[float]], kind: str) -> str:
        return f"<path class='{kind}' d='{''.join(f'M{x:g} {-y:g}h0' for x, y in places)}'/>"

    box = f"{-edge:g} {-edge:g} {2 * edge:g} {2 * edge:g}"
    return (
        f"<figure><button type='button' data-set='{html.escape(json.dumps({'steps': steps}))}' "
        f"aria-label='{html.escape(caption)}'><svg class='ends' viewBox='{box}' aria-hidden='true'>"
        f"{dots(points, 'shape')}{dots(ends, 'end')}</svg></button>"
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def side_by_side(*drawn: str, small: bool = False) -> str:
    """As `draw.figures`, of figures that are drawn already."""
    return f"<div class='figures{' small' * small}'>{''.join(drawn)}</div>"


def titled_row(title: str, drawn: str, columns: int) -> str:
    """Figures (`draw.figures`) in a row of so many columns however narrow the page."""
    head = f"<h4>{html.escape(title)}</h4>" if title else ""
    inside = drawn.removeprefix('<div class="figures">').removesuffix("</div>")
    return f"{head}<div class='compared' style='--columns:{columns}'>{inside}</div>"


def bars(rows: Sequence[tuple[str, float, str]]) -> str:
    """Bars of (name, number, how it is said), from 0 to the right, below 0 to the left."""
    low, high = min([0.0, *(value for _, value, _ in rows)]), max([0.0, *(value for _, value, _ in rows)])
    span = high - low or 1
    lines = []
    for name, value, said in rows:
        place = f"margin-left:{100 * (min(value, 0) - low) / span:.2f}%;width:{100 * abs(value) / span:.2f}%"
        words = f"{html.escape(name)} <strong>{html.escape(said)}</strong>"
        lines.append(f"<li><span>{words}</span><i style='{place}'></i></li>")
    return f"<ul class='bars'>{''.join(lines)}</ul>"
