"""The views of *Look inside*, for other programs: see `ui.api.endpoints`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from ui.api.fields import checkpoint, expose, file, parameters_of
from ui.errors import build_request_from
from ui.files import workspace
from ui.models import Shelf
from ui.serving.turns import in_turns
from ui.tabs.inside.view import View, subject
from ui.tabs.inside.views import VIEWS

PICTURE = "the picture looked into, any size and format; without one, that of `seed`"


def build(shelf: Shelf, door: gr.Button) -> None:
    """Register /inside_NAME for every view."""
    for view in VIEWS.values():
        picture = file("picture", PICTURE, optional=True) if view.of_a_picture else {}
        expose(
            _act(shelf, view), door, parameters_of(view.request) | checkpoint() | picture, "",
            [gr.File(label="picture"), gr.JSON(label="numbers")], "The picture or film of it, and its numbers by name.",
        )  # fmt: skip


def _act(shelf: Shelf, view: View) -> Any:
    def act(given: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        request = build_request_from(view.request, given)
        model = shelf.load(given["checkpoint"])
        looked_into: Any = subject(model, given["picture"], request.model_dump()["seed"]) if view.of_a_picture else None
        if view.sketches is not None:
            for _ in in_turns(view.sketches(model, looked_into, request)):
                pass  # nothing is shown on the way, but others have their turn, and who has left is heard
        drawing = view.draw(model, looked_into, request)
        with workspace() as folder:
            yield drawing.save(folder), dict(drawing.numbers)

    act.__name__, act.__doc__ = f"inside_{view.name}", view.sentence
    return act
