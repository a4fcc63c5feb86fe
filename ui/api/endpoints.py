"""The same actions for other programs: plain arguments in, files out.

From Python: `gradio_client.Client("http://127.0.0.1:7860").predict(seed=7, count=2, api_name="/generate")`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr
from PIL import Image

from ddpm_core.diffusion.samplers import last
from ddpm_core.images.animation import MOST_FRAMES, evenly
from ddpm_core.images.files import open_picture, to_tensor
from ddpm_core.images.masks import open_mask
from ddpm_core.requests import EditRequest, GenerateRequest, InpaintRequest
from ui.api import play as api_play
from ui.api.fields import checkpoint, choice, classes, file, number, shaping
from ui.components.events import ONE_AT_A_TIME
from ui.errors import Problem, ask, polite
from ui.files import workspace
from ui.models import Shelf
from ui.results import animate, save
from ui.run_inputs import RunInputs
from ui.tabs.process import BELIEVES, LIMIT, SEES


def build(shelf: Shelf) -> None:
    """Register the actions and /checkpoints; nothing of it is seen on the page."""

    def generate(
        seed: float, count: float, steps: float, sampler: str, checkpoint: str, label: str, guidance: float
    ) -> Iterator[list[str]]:
        """Pictures from seeds `seed`, `seed`+1, ...

        Args:
            seed: seed of the first picture.
            count: pictures, 1 to 8.
            steps: reverse steps.
            sampler: "ddim", "ddpm" or another of those that a wrong name is answered with.
            checkpoint: one of /checkpoints; empty for the one the app was started with.
            label: class to make, by name or number, if the checkpoint has classes; empty for any.
            guidance: how closely the class is followed, 0 to 20.

        Returns:
            One PNG file per picture, its parameters in the PNG's text.
        """
        asked = {"seed": seed, "count": count, "steps": steps, "sampler": sampler}
        request = ask(GenerateRequest, **asked, label=label, guidance=guidance)
        model = shelf.load(checkpoint)
        with workspace() as folder:
            yield save(model.pictures(last(model.generate(request)).latent), request, model, folder)

    def inpaint(
        picture: str | None, mask: str | None, keep_painted: bool, seed: float, count: float, steps: float,
        sampler: str, checkpoint: str, grow: float, feather: float, crop: str, label: str, guidance: float,
    ) -> Iterator[list[str]]:  # fmt: skip
        """Part of a picture made anew.

        Args:
            picture: the picture, any size and format.
            mask: a picture of the same shape, light where `picture` is painted.
            keep_painted: keep what is painted and make the rest anew.
            seed: seed of the first variant.
            count: variants, 1 to 8.
            steps: reverse steps.
            sampler: "ddim", "ddpm" or another of those that a wrong name is answered with.
            checkpoint: one of /checkpoints; empty for the one the app was started with.
            grow: pixels of the picture to widen what is made anew, below 0 to narrow it, -256 to 256.
            feather: pixels of the picture over which what is made anew fades in at its edge, 0 to 256.
            crop: what the model sees: "auto" for the face that is painted, "whole" for the picture (as "auto"
                does where there is no face), "painted" for what lies around the painted.
            label, guidance: as /generate has them.

        Returns:
            One PNG file per variant, at the picture's size; what is kept is identical to the picture.
        """
        request = ask(
            InpaintRequest, keep_painted=keep_painted, seed=seed, count=count, steps=steps, sampler=sampler,
            grow=grow, feather=feather, crop=crop, label=label, guidance=guidance,
        )  # fmt: skip
        inputs, original = about(request, picture, mask)
        model = shelf.load(checkpoint)
        frame = inputs.frame(model, original)
        made = model.pictures(last(model.inpaint(request, frame.image(), frame.mask())).latent)
        with workspace() as folder:
            pasted = [frame.paste(square) for square in made]
            yield save(pasted, request, model, folder, prefix="inpainted-", onto=picture)

    def process(
        seed: float, steps: float, sampler: str, view: str, size: float, seconds: float, keep_painted: bool,
        checkpoint: str, picture: str | None = None, mask: str | None = None, grow: float = 0, feather: float = 0,
        crop: str = "auto", label: str = "", guidance: float = 2,
    ) -> Iterator[str]:  # fmt: skip
        """How a picture comes out of noise, as an animated GIF.

        Args:
            seed: seed of the picture.
            steps: reverse steps; 0 for as many as /generate or, for an inpainting, /inpaint takes by default.
            sampler: "ddim", "ddpm" or another of those that a wrong name is answered with.
            view: "believes" for the picture the model expects at each step, "sees" for what it is given.
            size: longer side of the GIF, pixels, 16 to 1024.
            seconds: how long it runs, 0.1 to 60.
            keep_painted: for an inpainting, keep what is painted and make the rest anew.
            checkpoint: one of /checkpoints; empty for the one the app was started with.
            picture: for an inpainting, the picture.
            mask: for an inpainting, a picture of the same shape, light where `picture` is painted.
            grow, feather, crop: for an inpainting, as /inpaint has them.
            label, guidance: as /generate has them.

        Returns:
            The GIF file.
        """
        asked: dict[str, Any] = {"seed": seed, "sampler": sampler, "label": label, "guidance": guidance}
        asked |= {"steps": steps} if steps else {}
        if not (16 <= size <= 1024 and 0.1 <= seconds <= 60 and view in (SEES, BELIEVES)):
            raise Problem('size is 16 to 1024, seconds 0.1 to 60, view "sees" or "believes".')
        if picture is None:
            inputs = RunInputs(ask(GenerateRequest, **asked))
        else:
            shaped = {"keep_painted": keep_painted, "grow": grow, "feather": feather, "crop": crop}
            inputs, _ = about(ask(InpaintRequest, **asked, **shaped), picture, mask)
        model = shelf.load(checkpoint)
        run, dress = inputs.begin(model, LIMIT)
        keep = set(evenly(inputs.request.calls, MOST_FRAMES))
        frames = [
            dress(model.pictures(step.denoised if view == BELIEVES else step.latent)[0])
            for i, step in enumerate(run)
            if i in keep
        ]
        with workspace() as folder:
            yield animate(frames, folder, seconds, int(size), f"{model.name}-seed-{inputs.request.seed}")

    def edit(
        picture: str | None, strength: float, seed: float, count: float, steps: float, sampler: str, checkpoint: str,
        label: str, guidance: float,
    ) -> Iterator[list[str]]:  # fmt: skip
        """A whole picture made anew from a noised version of itself.

        Args:
            picture: the picture, any size and format; the face in it is used, or the square in its middle.
            strength: how much of it is hidden by noise, above 0, at most 1.
            seed: seed of the first variant.
            count: variants, 1 to 8.
            steps: reverse steps, of which the share `strength` is taken.
            sampler: "ddim", "ddpm" or another of those that a wrong name is answered with.
            checkpoint: one of /checkpoints; empty for the one the app was started with.
            label, guidance: as /generate has them.

        Returns:
            One PNG file per variant, at the model's size.
        """
        asked = {"strength": strength, "seed": seed, "count": count, "steps": steps, "sampler": sampler}
        request = ask(EditRequest, **asked, label=label, guidance=guidance)
        if picture is None:
            raise Problem("A picture is needed.")
        model = shelf.load(checkpoint)
        square = model.square(open_picture(picture))
        made = model.pictures(last(model.edit(request, to_tensor(square))).latent)
        with workspace() as folder:
            yield save(made, request, model, folder, prefix="edited-", onto=picture)

    def checkpoints() -> list[str]:
        """Names of the checkpoints that can be chosen."""
        return shelf.names()

    # Only components take files from clients safely: they refuse paths the client did not upload.
    with gr.Column(visible=False):
        door = gr.Button()
        door.click(
            polite(generate),
            [number("seed"), number("count"), number("steps"), choice("sampler"), checkpoint(), *classes()],
            gr.Files(label="pictures"), api_name="generate", **ONE_AT_A_TIME,
        )  # fmt: skip
        door.click(
            polite(inpaint),
            [
                file("picture"), file("mask"), gr.Checkbox(False, label="keep_painted"), number("seed"),
                number("count"), number("steps", InpaintRequest), choice("sampler", InpaintRequest), checkpoint(),
                *shaping(), *classes(),
            ],
            gr.Files(label="pictures"), api_name="inpaint", **ONE_AT_A_TIME,
        )  # fmt: skip
        door.click(
            polite(process),
            [
                number("seed"), gr.Number(0, label="steps"), choice("sampler"),
                gr.Radio([BELIEVES, SEES], value=BELIEVES, label="view"), gr.Number(256, label="size"),
                gr.Number(3.0, label="seconds"), gr.Checkbox(False, label="keep_painted"), checkpoint(),
                file("picture"), file("mask"), *shaping(), *classes(),
            ],
            gr.File(label="gif"), api_name="process", **ONE_AT_A_TIME,
        )  # fmt: skip
        door.click(
            polite(edit),
            [
                file("picture"), number("strength", EditRequest), number("seed"), number("count"),
                number("steps", EditRequest), choice("sampler", EditRequest), checkpoint(), *classes(),
            ],
            gr.Files(label="pictures"), api_name="edit", **ONE_AT_A_TIME,
        )  # fmt: skip
        api_play.build(shelf, door)
    gr.api(checkpoints, api_name="checkpoints", queue=False)


def about(request: InpaintRequest, picture: str | None, mask: str | None) -> tuple[RunInputs, Image.Image]:
    """An inpainting's inputs from two files, and the picture in the first.

    Raises:
        Problem: one of them is missing.
        PictureError, MaskError: one of them cannot be used.
    """
    if picture is None or mask is None:
        raise Problem("Both a picture and a mask are needed.")
    original = open_picture(picture)
    return RunInputs(request, picture, open_mask(mask, original.size)), original
