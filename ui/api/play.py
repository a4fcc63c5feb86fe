"""What the Play tab does, for other programs: see `ui.api.endpoints`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import gradio as gr

from ddpm_core.images.animation import there_and_back
from ddpm_core.requests import AnagramRequest, BetweenRequest, HybridRequest, WalkSettings
from ui.api.fields import checkpoint, expose, parameters_of
from ui.api.pictures import expose_pictures, made_and_saved
from ui.errors import build_request_from
from ui.files import workspace
from ui.models import Shelf
from ui.results import animate


def build(shelf: Shelf, door: gr.Button) -> None:
    """Register /between, /anagram and /hybrid."""

    def between(given: dict[str, Any]) -> Iterator[tuple[list[str], str]]:
        """Pictures on the way from one seed to another."""
        shown = build_request_from(WalkSettings, given)
        with workspace() as folder:
            request, files, made = made_and_saved(shelf, BetweenRequest, given, folder)
            yield files, animate(there_and_back(made), folder, request.stem, shown)

    expose(
        between, door, parameters_of(BetweenRequest, WalkSettings) | checkpoint(),
        "seed to count steps sampler checkpoint label guidance",
        [gr.Files(label="pictures"), gr.File(label="gif")],
        "One PNG file per picture, and a GIF or MP4 that goes there and back.",
        partial(build_request_from, BetweenRequest),
    )  # fmt: skip
    expose_pictures(
        shelf, door, AnagramRequest, "Pictures that are something both as they are and seen another way.",
        "seed count view steps sampler checkpoint label other guidance", "One PNG file per picture, as it is.",
    )  # fmt: skip
    expose_pictures(
        shelf, door, HybridRequest,
        "Pictures that are one class from afar and another close by; for classes, and pixels that are diffused.",
        "seed count label other guidance blur steps sampler checkpoint", "One PNG file per picture.",
    )  # fmt: skip
