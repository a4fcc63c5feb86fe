"""The same actions for other programs: plain arguments in, files out.

From Python: `gradio_client.Client("http://127.0.0.1:7860").predict(seed=7, count=2, api_name="/generate")`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from ddpm_core.cli import bounds
from ddpm_core.images.animation import spread
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import EditRequest, EnlargeRequest, GenerateRequest, InpaintRequest, ProcessSettings
from ui.api import inside as api_inside
from ui.api import play as api_play
from ui.api.fields import Parameter, checkpoint, expose, file, number, parameters_of, properties
from ui.api.pictures import expose_pictures, inputs_of
from ui.errors import build_request_from
from ui.files import workspace
from ui.models import Shelf
from ui.results import animate
from ui.serving.turns import in_turns

PICTURE = "the picture, any size and format"
ENLARGED = "the picture, in any format, at most four times as wide and high as those it was trained to enlarge"
MASK = "a picture of the same shape, light (or opaque) where `picture` is painted"


def build(shelf: Shelf) -> gr.Column:
    """Register the actions and /checkpoints; the column that holds their components, unseen."""

    def process(given: dict[str, Any]) -> Iterator[str]:
        """How a picture comes out of noise, step after step; of an inpainting, if a picture is given."""
        shown = build_request_from(ProcessSettings, given)
        model = shelf.load(given["checkpoint"])
        request = request_of_process(given, model)
        inputs, original = inputs_of(request, given)
        run, dress = inputs.begin(model, shown.size, original)
        frames = [
            dress(model.pictures(step.denoised if shown.view == "believes" else step.latent)[0])
            for step in spread(in_turns(run), request.calls)
        ]
        with workspace() as folder:
            name = f"{model.stem}-seed-{request.seed}"
            yield animate(frames, folder, name, shown)

    def checkpoints() -> list[str]:
        """Names of the checkpoints that can be chosen."""
        return [*shelf.names(), *shelf.enlarging()]

    with gr.Column(visible=False) as column:
        door = gr.Button()
        expose_pictures(
            shelf, door, GenerateRequest, "Pictures from seeds `seed`, `seed`+1, ...",
            "seed count steps sampler checkpoint label guidance",
            "One PNG file per picture, its parameters in the PNG's text.",
        )  # fmt: skip
        expose_pictures(
            shelf, door, InpaintRequest, "Part of a picture made anew.",
            "picture mask keep_painted seed count steps sampler checkpoint grow feather crop label guidance",
            "One PNG file per variant, at the picture's size; what is kept is identical to the picture.",
            file("picture", PICTURE) | file("mask", MASK),
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
        expose_pictures(
            shelf, door, EditRequest,
            "A whole picture made anew, at the model's size, from a noised version of itself.",
            "picture strength seed count steps sampler checkpoint label guidance",
            "One PNG file per variant, at the model's size.",
            file("picture", f"{PICTURE}; the face in it is used, or the square in its middle"),
        )  # fmt: skip
        expose_pictures(
            shelf, door, EnlargeRequest,
            "A picture made larger, with detail made up for it, by a checkpoint that was trained to.",
            "picture seed count steps sampler checkpoint noise_level",
            "One PNG file per variant, as many times larger as the checkpoint was trained for.",
            checkpoint("the first that enlarges") | file("picture", ENLARGED),
        )  # fmt: skip
        api_play.build(shelf, door)
        api_inside.build(shelf, door)
    gr.api(checkpoints, api_name="checkpoints", queue=False)
    return column


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
