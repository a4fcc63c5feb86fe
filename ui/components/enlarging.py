"""The button *Enlarge* of a tab, there while a checkpoint enlarges such pictures as the chosen one makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from ddpm_core.diffusion.concatenation import windows
from ddpm_core.diffusion.samplers import Step
from ddpm_core.images.enlargement import together
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import EnlargeRequest
from ui.components import editor_canvas
from ui.components.choice import follow_choice
from ui.components.progress import Updates, run_with_previews
from ui.errors import Problem, build_request, refuse_too_much
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

    def calls(self, checkpoint: str, pictures: Sequence[str], seed: float | None) -> int:
        """Of the network, for files of pictures of one size."""
        request = self._request(self.shelf.load_enlarging(of=checkpoint), pictures, seed)
        return request.model_calls * self.shelf.windows(pictures[0], of=checkpoint)

    def run(
        self,
        checkpoint: str,
        pictures: Sequence[str],
        seed: float | None,
        bar: gr.HTML,
        unfinished: Callable[[Sequence[str], Sequence[str]], Updates],
        finished: Callable[[Sequence[Results]], Updates],
    ) -> Iterator[Updates]:
        """Make the pictures of some files, all of one size, larger, told in `bar`; the first from `seed`.

        Args:
            unfinished: what shows the files of the pictures enlarged bicubically, and of what is still being made.
            finished: what shows the results, one for each picture.

        Raises:
            Problem: there is no picture.
            CheckpointError, PictureError, UserError: it, or the model, cannot be used.
        """
        model = self.shelf.load_enlarging(of=checkpoint)
        request = self._request(model, pictures, seed)
        sheets = [model.enlargement(opened_upload(picture)) for picture in pictures]
        refuse_too_much(request, windows(*sheets[0].size, sheets[0].side))
        smooth = [sheet.smooth() for sheet in sheets]
        before = [cached(each) for each in smooth]

        def made(latent: Any) -> list[Image.Image]:
            return [sheet.cut(each) for sheet, each in zip(sheets, model.pictures(latent), strict=True)]

        def preview(step: Step) -> Updates:
            return unfinished(before, [cached(each) for each in made(step.denoised)])

        def result(step: Step, folder: Path) -> Updates:
            all_of_each = zip(smooth, made(step.latent), request.singles(), pictures, strict=True)
            return finished(
                [Results.edited(was, [now], RunInputs(one, file), model) for was, now, one, file in all_of_each]
            )

        steps = model.enlarge(request, together(sheets))
        yield from run_with_previews(steps, request.calls, bar, preview, result)

    def _request(self, model: LatentDiffusion, pictures: Sequence[str], seed: float | None) -> EnlargeRequest:
        if not pictures:
            raise Problem(editor_canvas.NO_PICTURE)
        return build_request(EnlargeRequest, model, seed=seed, count=len(pictures))
