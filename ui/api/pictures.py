"""The endpoints whose answer is pictures: one way from what a program gives to files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from PIL import Image

from ddpm_core.diffusion.samplers import last
from ddpm_core.images.files import open_picture
from ddpm_core.images.masks import open_mask
from ddpm_core.requests import EditRequest, EnlargeRequest, GenerateRequest, InpaintRequest
from ui.api.fields import Parameter, checkpoint, expose, parameters_of
from ui.errors import Problem, build_request_from
from ui.files import workspace
from ui.models import Shelf
from ui.results import save
from ui.run_inputs import RunInputs, made_larger
from ui.serving.guard import is_served
from ui.serving.turns import in_turns


def expose_pictures(
    shelf: Shelf,
    door: gr.Button,
    kind: type[GenerateRequest],
    sentence: str,
    first: str,
    returns: str,
    files: Mapping[str, Parameter] = {},
) -> None:
    """Register the endpoint of a kind of request, named by its action.

    Args:
        sentence: what it does, for its docs.
        files: parameters beside those of the request.
    """

    def act(given: dict[str, Any]) -> Iterator[list[str]]:
        with workspace() as folder:
            _, saved, _ = made_and_saved(shelf, kind, given, folder)
            yield saved

    act.__name__, act.__doc__ = kind.action, sentence
    expose(
        act, door, {**parameters_of(kind), **checkpoint(), **files}, first, gr.Files(label="pictures"), returns,
        partial(build_request_from, kind), in_batches=kind is GenerateRequest,
        windows=partial(_windows, shelf) if kind is EnlargeRequest else lambda given: 1,
    )  # fmt: skip


def _windows(shelf: Shelf, given: Mapping[str, Any]) -> int:
    """By how many windows an upload is enlarged; no file but an upload is opened."""
    path = given["picture"]["path"]
    return shelf.windows(path, given["checkpoint"]) if is_served(path, Path(get_upload_folder())) else 1


def made_and_saved(
    shelf: Shelf, kind: type[GenerateRequest], given: Mapping[str, Any], folder: Path
) -> tuple[GenerateRequest, list[str], list[Image.Image]]:
    """Run what is `given`; its request, the files of the result, and the model's own pictures."""
    load = shelf.load_enlarging if kind is EnlargeRequest else shelf.load
    model = load(given["checkpoint"])
    request = build_request_from(kind, given, model)
    inputs, original = inputs_of(request, given)
    run, dressed = inputs.begin(model, original=original)
    made = model.pictures(last(in_turns(run)).latent)
    enlarger = None
    if isinstance(request, InpaintRequest):
        enlarger = shelf.enlarger(request, model.name, inputs.frame(model, original))
    # One at a time: an upload may be large.
    squares = made if enlarger is None else made_larger(made, request, enlarger)
    by = None if enlarger is None else enlarger.name
    return request, save(map(dressed, squares), request, model, folder, onto=inputs.picture, enlarged_by=by), made


def inputs_of(request: GenerateRequest, given: Mapping[str, Any]) -> tuple[RunInputs, Image.Image | None]:
    """A run's inputs, its files among what is `given`, and the picture in the first.

    Raises:
        Problem: one of them is missing.
        PictureError, MaskError: one of them cannot be used.
    """
    if isinstance(request, InpaintRequest):
        if given["picture"] is None or given["mask"] is None:
            raise Problem("Both a picture and a mask are needed.")
        original = open_picture(given["picture"])
        return RunInputs(request, given["picture"], open_mask(given["mask"], original.size)), original
    if isinstance(request, EditRequest | EnlargeRequest):
        if given["picture"] is None:
            raise Problem("A picture is needed.")
        return RunInputs(request, given["picture"]), None
    return RunInputs(request), None
