"""What the Play tab does, for other programs: see `ui.api.endpoints`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import gradio as gr

from ddpm_core.diffusion.samplers import last
from ddpm_core.images.animation import there_and_back
from ddpm_core.requests import AnagramRequest, BetweenRequest, HybridRequest, WalkSettings
from ui.api.fields import checkpoint, expose, parameters_of
from ui.errors import build_request_from
from ui.files import workspace
from ui.models import Shelf
from ui.results import animate, save
from ui.serving.turns import in_turns


def build(shelf: Shelf, door: gr.Button) -> None:
    """Register /between, /anagram and /hybrid behind a button that nobody sees."""

    def between(given: dict[str, Any]) -> Iterator[tuple[list[str], str]]:
        """Pictures on the way from one seed to another."""
        model = shelf.load(given["checkpoint"])
        request = build_request_from(BetweenRequest, given, model)
        shown = build_request_from(WalkSettings, given)
        made = model.pictures(last(in_turns(model.between(request))).latent)
        with workspace() as folder:
            files = save(made, request, model, folder)
            walk = there_and_back(made)
            yield files, animate(walk, folder, shown.seconds, shown.size, request.stem, shown.format)

    def anagram(given: dict[str, Any]) -> Iterator[list[str]]:
        """Pictures that are something both as they are and seen another way."""
        model = shelf.load(given["checkpoint"])
        request = build_request_from(AnagramRequest, given, model)
        with workspace() as folder:
            yield save(model.pictures(last(in_turns(model.anagram(request))).latent), request, model, folder)

    def hybrid(given: dict[str, Any]) -> Iterator[list[str]]:
        """Pictures that are one class from afar and another close by; for classes, and pixels that are diffused."""
        model = shelf.load(given["checkpoint"])
        request = build_request_from(HybridRequest, given, model)
        with workspace() as folder:
            yield save(model.pictures(last(in_turns(model.hybrid(request))).latent), request, model, folder)

    expose(
        between, door, parameters_of(BetweenRequest, WalkSettings) | checkpoint(),
        "seed to count steps sampler checkpoint label guidance",
        [gr.Files(label="pictures"), gr.File(label="gif")],
        "One PNG file per picture, and a GIF or MP4 that goes there and back.",
        partial(build_request_from, BetweenRequest),
    )  # fmt: skip
    expose(
        anagram, door, parameters_of(AnagramRequest) | checkpoint(),
        "seed count view steps sampler checkpoint label other guidance",
        gr.Files(label="pictures"), "One PNG file per picture, as it is.", partial(build_request_from, AnagramRequest),
    )  # fmt: skip
    expose(
        hybrid, door, parameters_of(HybridRequest) | checkpoint(),
        "seed count label other guidance blur steps sampler checkpoint",
        gr.Files(label="pictures"), "One PNG file per picture.", partial(build_request_from, HybridRequest),
    )  # fmt: skip
