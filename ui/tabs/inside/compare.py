"""The view Compare: one seed by different settings, with what each took."""

from __future__ import annotations

import html
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any

import gradio as gr

from ddpm_core.images.masks import FACE_PARTS
from ddpm_core.inspection.compare import (
    ComparisonRequest,
    Made,
    compare_by_step,
    comparison,
    facts,
    numbers,
    places,
    sheet,
)
from ddpm_core.inspection.compare_request import COMPARED
from ddpm_core.inspection.remember import finished, remembered_steps
from ddpm_core.inspection.rescheduled import under_schedule
from ddpm_core.inspection.subject import Subject
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest
from ui.models import Shelf
from ui.tabs.inside.draw import Figure, figures, note
from ui.tabs.inside.grids import titled_row
from ui.tabs.inside.view import Drawing, MakeControl, View, choice, png

SAID = {"clamp": "clamp (of fillings)", "resamples": "resamples (of fillings)", "guidance": "guidance (needs a class)"}

CRISP = 64  # pixels: what is smaller is enlarged with its pixels as squares

FORMULA = r"""
$$\mathrm{d}\bar{x} = \hat\epsilon \, \mathrm{d}\bar\sigma, \qquad
\bar{x} = z / \alpha, \; \bar\sigma = \sigma / \alpha$$

All deterministic samplers solve this one equation from the same noise, so with steps enough their pictures meet: Song
et al. 2021, [DDIM](https://arxiv.org/abs/2010.02502), equation 14. They differ in how many calls of the model that
takes. A schedule that the model was not trained on is walked by noise level.
"""


def draw(model: LatentDiffusion, subject: Subject, request: ComparisonRequest) -> Drawing:
    """The grid, row by row; seconds are those of the first time, for what was made is remembered."""
    made = made_before(model, subject, request)
    title = f"{model.name}, seed {request.seed}" + (f", class {request.label}" if request.label is not None else "")
    return Drawing(
        _grid(request, made),
        {"pictures": [facts(one, request) for one in made]},
        png(lambda: sheet(request, made, title), f"compare-{request.across}-{request.down}-seed-{request.seed}"),
    )


def sketches(model: LatentDiffusion, subject: Subject, request: ComparisonRequest) -> Iterator[Callable[[], str]]:
    """The pictures that are made already, and how many there will be."""
    pictures = len(request.values("across")) * len(request.values("down"))

    def so_far(made: list[Made]) -> str:
        done = f": {len(made)} of them done" if made else ""
        return _grid(request, made) + note(f"Making {pictures} pictures, the first time only{done} …")

    for made in making(model, subject, request):
        yield partial(so_far, made)


def making(
    model: LatentDiffusion, subject: Subject, request: ComparisonRequest
) -> Generator[list[Made], None, list[Made]]:
    """As `comparison`; other checkpoints are those beside the model's own."""
    # The base is named beside the request: to be given what is the default is another question than not to be given it,
    # yet the two requests are equal.
    return _making(model, subject, request, request.base(model))


@remembered_steps(8)
def _making(
    model: LatentDiffusion, subject: Subject, request: ComparisonRequest, base: GenerateRequest
) -> Generator[list[Made], None, list[Made]]:

    def load(name: str) -> LatentDiffusion:
        if name == model.name or model.folder is None:
            return model
        return Shelf(model.folder.resolve().parent, model.name, str(model.device)).load(name)

    return (yield from comparison(model.name, subject.picture, request, base, load))


def made_before(model: LatentDiffusion, subject: Subject, request: ComparisonRequest) -> list[Made]:
    """All of them, at once if they are remembered."""
    return finished(making(model, subject, request))


def _grid(request: ComparisonRequest, made: list[Made]) -> str:
    """The rows that have begun."""
    columns = len(request.values("across"))
    rows = []
    for row, value in enumerate(request.values("down")[: -(-len(made) // columns)]):
        cells = []
        for one in made[row * columns : (row + 1) * columns]:
            across = f"{request.across} {request.values('across')[one.place.column]}"
            if one.picture is None:
                reason = f"<p class='none'>{html.escape(one.note)}</p>"
                cells.append(f"<figure>{reason}<figcaption>{html.escape(across)}</figcaption></figure>")
                continue
            drawn = figures([Figure(one.picture, f"{across} · {numbers(one)}", crisp=one.picture.width < CRISP)])
            cells.append(drawn.removeprefix('<div class="figures">').removesuffix("</div>"))
        title = "" if request.down == "none" else f"{request.down} {value}"
        rows.append(titled_row(title, "".join(cells), columns))
    return "".join(rows)


def dropdown(label: str, names: list[str]) -> MakeControl:
    """The control of what is chosen from a list."""
    return lambda elem_id, default: gr.Dropdown(
        [(SAID.get(name, name), name) for name in names], value=default, label=label, elem_id=elem_id, filterable=False
    )


def words(label: str, placeholder: str) -> MakeControl:
    """The control of a few words, heard when they are finished."""

    def make(elem_id: str, default: Any) -> gr.Textbox:
        return gr.Textbox(default, label=label, placeholder=placeholder, elem_id=elem_id, max_lines=1)

    return make


VIEW = View(
    "compare",
    "Compare",
    "One seed by any two settings, the time under each: samplers without fresh noise all lead to one picture.",
    ComparisonRequest,
    draw,
    {
        "across": dropdown("Columns", list(COMPARED)),
        "across_values": words("Their values", "usual, or 2, 5, 10"),
        "down": dropdown("Rows", ["none", *COMPARED]),
        "down_values": words("Their values", "usual, or ddim"),
        "label": words("Class", "none"),
        "region": choice("Fill a part of the picture", [("no", "none"), *((name, name) for name in FACE_PARTS)]),
    },
    FORMULA,
    (places, compare_by_step, under_schedule),
    sketches=sketches,
)
