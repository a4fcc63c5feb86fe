"""The view Paths: the eight snakes, and how strongly cells reach one through them, attention and a convolution."""

from __future__ import annotations

from pathlib import Path

from ddpm_core.images.animation import save_gif
from ddpm_core.inspection.path_pictures import snakes_picture, strength_picture
from ddpm_core.inspection.paths import LAYERS, PROBES, PathsRequest, influence, multiplications, path_cells, reach
from ddpm_core.inspection.sheet import labelled_sheet
from ddpm_core.inspection.subject import MOST_STATES, Subject
from ddpm_core.networks.serpentine import SerpentineMixer, scan_paths
from ddpm_core.pipeline import LatentDiffusion
from ui.tabs.inside.draw import Line, chart, charts, note
from ui.tabs.inside.grids import cells_over, side_by_side, snake_over
from ui.tabs.inside.view import Drawing, View, slider

WAYS = ("rows", "columns", "diagonals", "anti-diagonals")
SAID = {
    "serpentine": "Serpentine mixer, trained",
    "attention": "Attention, random weights",
    "convolution": "3x3 convolution, trained",
}
MIXER = (
    "A serpentine is a path that snakes over the whole grid; the mixer is the layer that carries news along such "
    "paths, in place of attention."
)
FAR = 4  # cells
FRAMES, SIDE = 16, 160

FORMULA = rf"""
$$h_l = (1 - w_l)\, h_{{l-1}} + w_l\, u_l, \quad w = \sigma(\delta), \qquad
\text{{strength}}_{{ij}} = \Big\lVert \frac{{\partial y_i}}{{\partial x_j}} \Big\rVert_F$$

The recurrence is Gu & Dao 2023, [Mamba](https://arxiv.org/abs/2312.00752), theorem 1, run along each path. The norm is
estimated by {PROBES} random directions: $\mathbb{{E}}_v \lVert v^T J \rVert^2 = \lVert J \rVert_F^2$ (Hutchinson 1990).
Multiplications for $n$ cells of $C$ channels: serpentine $4nC^2 + 4nC$, attention $4nC^2 + 2n^2C$ (Vaswani et al. 2017,
table 1), convolution $9nC^2$.
"""


def draw(model: LatentDiffusion, subject: Subject, request: PathsRequest) -> Drawing:
    """The paths over the picture, what reaches the pressed cell, and what a layer costs as the grid grows."""
    found, (height, width) = reach(model, subject, request), subject.latent.shape[2:]
    here = request.row, request.column
    others = height * width - 1
    far = {name: found.beyond(name, *here, FAR) for name in LAYERS}
    maps = [
        cells_over(
            subject.picture, height, width, here,
            f"{found.cells(name)} of {others} cells reach it; {far[name]:.0%} of that from more than {FAR} cells away",
            f"{SAID[name]}:", found.by_layer[name].tolist(),
        )
        for name in LAYERS
    ]  # fmt: skip
    paths = path_cells(height, width)
    names = [*WAYS, *(f"{way}, backwards" for way in WAYS)]
    snakes = [
        snake_over(subject.picture, path, height, width, name, i % 4)
        for i, (path, name) in enumerate(zip(paths, names, strict=True))
    ]
    costs = multiplications(found.channels)
    lines = [
        Line([(n**0.5, count) for n, count in costs[name]], name, _at(costs[name], height * width)) for name in LAYERS
    ]
    cost = chart(
        "Multiplications of one layer as the grid grows", lines, "cells along a side of the grid", "multiplications",
        (height * width) ** 0.5, logarithmic=True,
    )  # fmt: skip

    def save(folder: Path) -> str:
        heat = [strength_picture(subject.picture, found.by_layer[name], *here) for name in LAYERS]
        words = ["eight paths", *(f"{name}: {far[name]:.0%} from far" for name in LAYERS)]
        frames = [
            labelled_sheet(
                [snakes_picture(subject.picture, paths, width, i / (FRAMES - 1)), *heat], words, columns=2, side=SIDE
            )
            for i in range(FRAMES)
        ]
        path = folder / f"paths-{request.row}-{request.column}.gif"
        save_gif(frames, path, 4.0, max(frames[0].size))
        return str(path)

    return Drawing(
        note(MIXER)
        + side_by_side(*maps)
        + note("The eight paths that the mixer walks, an eighth of the channels along each:")
        + side_by_side(*snakes, small=True)
        + charts(cost),
        {
            name: {
                "cells": found.cells(name), "beyond_4_cells": far[name], "strength": found.by_layer[name].tolist(),
                "multiplications": {str(n): count for n, count in costs[name]},
            }
            for name in LAYERS
        },
        save,
    )  # fmt: skip


def _at(counts: list[tuple[int, int]], cells: int) -> str:
    known = dict(counts)
    return f"{known[cells] / 1e6:,.0f} million on this grid" if cells in known else ""


VIEW = View(
    "paths",
    "Paths",
    "Press a cell, an eye say: the stronger another cell's colour, the more of it arrives there within one layer.",
    PathsRequest,
    draw,
    {
        "row": slider("Row", 0, 15),
        "column": slider("Column", 0, 15),
        "t": slider("State t", 1, MOST_STATES - 1, info="How noisy the latent is that the network meets."),
    },
    FORMULA,
    (scan_paths, SerpentineMixer.forward, influence, reach, multiplications),
)
