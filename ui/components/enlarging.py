"""The button *Enlarge* of a tab, there while a checkpoint enlarges such pictures as the chosen one makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from ddpm_core.diffusion.samplers import Step
from ddpm_core.requests import EnlargeRequest
from ui.components import editor_canvas
from ui.components.choice import follow_choice
from ui.components.progress import Updates, run_with_previews
from ui.errors import Problem, build_request
from ui.files import cached, opened_upload
from ui.models import Shelf
from ui.results import Results
from ui.run_inputs import RunInputs


class Enlarging:
    """The button, and the run that a press begins.

    Attributes:
        button: hidden where nothing enlarges.
    """

    def __init__(self, name: str, shelf: Shelf, checkpoint: gr.Dropdown):
        """Place the button of the tab `name` here."""
        self.shelf = shelf
        self.button = gr.Button(
            "Enlarge", size="sm", elem_id=f"{name}-enlarge", scale=0, visible=bool(shelf.enlarging(shelf.first))
        )
        follow_choice(checkpoint, self.offered, [checkpoint], [self.button])

    def offered(self, checkpoint: str) -> Any:
        """The button, if something can enlarge what the checkpoint makes: that may have been trained since."""
        return gr.update(visible=bool(self.shelf.enlarging(checkpoint)))

    def calls(self, checkpoint: str, picture: str | None, seed: float | None) -> int:
        """Of the network, for the file of a picture."""
        request = build_request(EnlargeRequest, self.shelf.load_enlarging(of=checkpoint), seed=seed)
        return request.model_calls * self.shelf.windows(str(picture), of=checkpoint)

    def run(
        self,
        checkpoint: str,
        picture: str | None,
        seed: float | None,
        bar: gr.HTML,
        unfinished: Callable[[str, Sequence[str]], Updates],
        finished: Callable[[Results], Updates],
    ) -> Iterator[Updates]:
        """Make the picture of a file larger, told in `bar`.

        Args:
            unfinished: what shows the files of the picture enlarged bicubically, and of what is still being made.
            finished: what shows the results.

        Raises:
            Problem: there is no picture.
            CheckpointError, PictureError, UserError: it, or the model, cannot be used.
        """
        model = self.shelf.load_enlarging(of=checkpoint)
        request = build_request(EnlargeRequest, model, seed=seed)
        if picture is None:
            raise Problem(editor_canvas.NO_PICTURE)
        sheet = model.enlargement(opened_upload(picture))
        smooth = sheet.smooth()
        before = cached(smooth)

        def made(latent: Any) -> list[Image.Image]:
            return [sheet.cut(each) for each in model.pictures(latent)]

        def preview(step: Step) -> Updates:
            return unfinished(before, [cached(each) for each in made(step.denoised)])

        def result(step: Step, folder: Path) -> Updates:
            return finished(Results.edited(smooth, made(step.latent), RunInputs(request, picture), model))

        steps = model.enlarge(request, sheet.image())
        yield from run_with_previews(steps, request.calls, bar, preview, result)
