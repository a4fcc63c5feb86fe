"""The same actions for other programs: plain arguments in, files out. What they may be given is what requests have.

From Python: `gradio_client.Client("http://127.0.0.1:7860").predict(seed=7, count=2, api_name="/generate")`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import gradio as gr
from PIL import Image

from ddpm_core.cli import bounds
from ddpm_core.diffusion.samplers import last
from ddpm_core.images.animation import spread
from ddpm_core.images.files import open_picture, to_tensor
from ddpm_core.images.masks import open_mask
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import EditRequest, GenerateRequest, InpaintRequest, ProcessSettings
from ui.api import inside as api_inside
from ui.api import play as api_play
from ui.api.fields import Parameter, checkpoint, expose, file, number, parameters_of, properties
from ui.errors import Problem, build_request_from
from ui.files import workspace
from ui.models import Shelf
from ui.results import animate, save
from ui.run_inputs import RunInputs
from ui.serving.turns import in_turns

PICTURE = "the picture, any size and format"
MASK = "a picture of the same shape, light (or opaque) where `picture` is painted"


def build(shelf: Shelf) -> None:
    """Register the actions and /checkpoints; nothing of it is seen on the page."""

    def generate(given: dict[str, Any]) -> Iterator[list[str]]:
        """Pictures from seeds `seed`, `seed`+1, ..."""
        model = shelf.load(given["checkpoint"])
        request = build_request_from(GenerateRequest, given, model)
        with workspace() as folder:
            yield save(model.pictures(last(in_turns(model.generate(request))).latent), request, model, folder)

    def inpaint(given: dict[str, Any]) -> Iterator[list[str]]:
        """Part of a picture made anew."""
        model = shelf.load(given["checkpoint"])
        request = build_request_from(InpaintRequest, given, model)
        inputs, original = inputs_of(request, given["picture"], given["mask"])
        frame = inputs.frame(model, original)
        made = model.pictures(last(in_turns(model.inpaint(request, frame.image(), frame.mask()))).latent)
        with workspace() as folder:
            pasted = (frame.paste(square) for square in made)  # one at a time: an upload may be large
            yield save(pasted, request, model, folder, prefix="inpainted-", onto=given["picture"])

    def process(given: dict[str, Any]) -> Iterator[str]:
        """How a picture comes out of noise, step after step; of an inpainting, if a picture is given."""
        shown = build_request_from(ProcessSettings, given)
        model = shelf.load(given["checkpoint"])
        request = request_of_process(given, model)
        inputs = RunInputs(request)
        if isinstance(request, InpaintRequest):
            inputs, _ = inputs_of(request, given["picture"], given["mask"])
        run, dress = inputs.begin(model, shown.size)
        frames = [
            dress(model.pictures(step.denoised if shown.view == "believes" else step.latent)[0])
            for step in spread(in_turns(run), request.calls)
        ]
        with workspace() as folder:
            name = f"{model.stem}-seed-{request.seed}"
            yield animate(frames, folder, shown.seconds, shown.size, name, shown.format)

    def edit(given: dict[str, Any]) -> Iterator[list[str]]:
        """A whole picture made anew, at the model's size, from a noised version of itself."""
        model, picture = shelf.load(given["checkpoint"]), given["picture"]
        request = build_request_from(EditRequest, given, model)
        if picture is None:
            raise Problem("A picture is needed.")
        square = model.square(open_picture(picture))
        made = model.pictures(last(in_turns(model.edit(request, to_tensor(square)))).latent)
        with workspace() as folder:
            yield save(made, request, model, folder, prefix="edited-", onto=picture)

    def checkpoints() -> list[str]:
        """Names of the checkpoints that can be chosen."""
        return shelf.names()

    with gr.Column(visible=False):
        door = gr.Button()
        expose(
            generate, door, parameters_of(GenerateRequest) | checkpoint(),
            "seed count steps sampler checkpoint label guidance",
            gr.Files(label="pictures"), "One PNG file per picture, its parameters in the PNG's text.",
            partial(build_request_from, GenerateRequest),
        )  # fmt: skip
        expose(
            inpaint, door, parameters_of(InpaintRequest) | checkpoint() | file("picture", PICTURE) | file("mask", MASK),
            "picture mask keep_painted seed count steps sampler checkpoint grow feather crop label guidance",
            gr.Files(label="pictures"),
            "One PNG file per variant, at the picture's size; what is kept is identical to the picture.",
            partial(build_request_from, InpaintRequest),
        )  # fmt: skip
        of_a_run = parameters_of(GenerateRequest, InpaintRequest, ProcessSettings, without=("count", "steps"))
        expose(
            process, door, of_a_run | steps_of_either() | checkpoint()
            | file("picture", f"for an inpainting, {PICTURE}", optional=True)
            | file("mask", f"for an inpainting, {MASK}", optional=True),
            "seed steps sampler view size seconds keep_painted checkpoint picture mask grow feather crop label "
            "guidance",
            gr.File(label="gif"), "The GIF or MP4 file.", request_of_process,
        )  # fmt: skip
        expose(
            edit, door, parameters_of(EditRequest) | checkpoint()
            | file("picture", f"{PICTURE}; the face in it is used, or the square in its middle"),
            "picture strength seed count steps sampler checkpoint label guidance",
            gr.Files(label="pictures"), "One PNG file per variant, at the model's size.",
            partial(build_request_from, EditRequest),
        )  # fmt: skip
        api_play.build(shelf, door)
        api_inside.build(shelf, door)
    gr.api(checkpoints, api_name="checkpoints", queue=False)


def request_of_process(given: dict[str, Any], model: LatentDiffusion | None = None) -> GenerateRequest:
    """The run that /process shows: an inpainting, if there is a picture."""
    chosen = {name: value for name, value in given.items() if name != "steps" or value}
    return build_request_from(GenerateRequest if given["picture"] is None else InpaintRequest, chosen, model)


def steps_of_either() -> dict[str, Parameter]:
    """Steps of a run that may be of two kinds."""
    schema = properties(GenerateRequest)["steps"] | {"minimum": 0}
    words = bounds(GenerateRequest.model_fields["steps"])
    doc = f"reverse steps, {words}; 0 for as many as /generate or, for an inpainting, /inpaint takes by default"
    return {"steps": Parameter(number("steps", 0, schema), doc)}


def inputs_of(request: InpaintRequest, picture: str | None, mask: str | None) -> tuple[RunInputs, Image.Image]:
    """An inpainting's inputs from two files, and the picture in the first.

    Raises:
        Problem: one of them is missing.
        PictureError, MaskError: one of them cannot be used.
    """
    if picture is None or mask is None:
        raise Problem("Both a picture and a mask are needed.")
    original = open_picture(picture)
    return RunInputs(request, picture, open_mask(mask, original.size)), original
