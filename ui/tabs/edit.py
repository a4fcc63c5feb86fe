"""The Edit tab: a whole picture made anew from a noised version of itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from ddpm_core.images.files import open_picture, to_tensor
from ddpm_core.requests import EditRequest
from ui import examples
from ui.classes import class_row
from ui.controls import count_row, sampling, seed_row
from ui.errors import Problem, ask, gentle
from ui.files import cached
from ui.help import lead
from ui.models import Shelf
from ui.results import Results
from ui.source import Source
from ui.tabs.live import AT_ONCE, PAGE_ONLY, RunControl, status, watch

READY = "Press Edit: before on the left, after on the right."
WAIT = gr.update(interactive=False)

Updates = dict[gr.components.Component, Any]


class EditTab:
    """The tab's components and what its buttons do.

    Attributes:
        picture: state, the file that is edited, as it was uploaded.
        opens: the components `show` fills.
    """

    def __init__(self, shelf: Shelf, checkpoint: gr.Dropdown):
        """Build the tab inside the current layout."""
        self.shelf, self.checkpoint = shelf, checkpoint
        shipped = [str(path) for path in examples.faces()]
        made = examples.edited() if shipped else None
        first, after = (shipped[0] if shipped else None), (str(made) if made else None)
        request = examples.said_by(made, EditRequest) if made else None
        self.picture, self.last, self.results = gr.State(first), gr.State(request), gr.State(None)
        lead("Edit", "The whole picture, made anew: the less strength, the closer it stays to what it was.")
        with gr.Row(elem_classes="studio"):
            with gr.Column(scale=3, elem_classes="picture"):
                self._place_result(first, after)
                self._place_opening(shipped)
            with gr.Column(scale=1, min_width=264, elem_classes="controls"):
                field = EditRequest.model_fields["strength"]
                strength = gr.Slider(
                    0.05, 1, request.strength if request else field.default, step=0.05, label="Strength",
                    elem_id="edit-strength", buttons=[], info="How much noise is laid over it; 1 hides all of it.",
                )  # fmt: skip
                seed = seed_row("edit", self.last, value=request.seed + 1 if request else 0)
                label, guidance = class_row("edit", shelf, checkpoint)
                count = count_row("edit", "Variants")
                control = RunControl("Edit", "edit")
                with gr.Accordion("Advanced", open=False):
                    steps, sampler = sampling("edit", EditRequest)
        self.fields: dict[str, gr.components.Component] = {
            "strength": strength, "seed": seed, "label": label, "guidance": guidance, "count": count, "steps": steps,
            "sampler": sampler,
        }  # fmt: skip
        control.wire(
            self._run,
            [checkpoint, self.picture, *self.fields.values()],
            [self.result, self.variants, self.download, self.go_on, self.results, self.last],
            self.bar,
        )

    def _place_result(self, before: str | None, after: str | None) -> None:
        self.result = gr.ImageSlider(
            (before, after or before) if before else None,
            format="png", type="filepath", show_label=False, interactive=False, buttons=["fullscreen"],
            elem_id="edit-result", elem_classes="stage", slider_position=50, max_height=2000,
        )  # fmt: skip
        told = "Drag the line: before on the left, after on the right." if after else READY
        self.bar = RunControl.place_bar("edit", told if before else "Open a picture to begin.")
        with gr.Row(elem_classes="actions"):
            self.download = gr.DownloadButton(
                "Download PNG", after, size="sm", elem_id="edit-download", interactive=after is not None, scale=0
            )
            self.go_on = gr.Button(
                "Continue from this", size="sm", elem_id="edit-continue", interactive=after is not None, scale=0
            )
            self.upload = gr.UploadButton(
                "Open a picture", file_types=["image"], size="sm", elem_id="edit-upload", scale=0
            )
        self.variants = gr.Gallery(
            columns=8, show_label=False, allow_preview=False, format="png", interactive=False, buttons=[],
            elem_id="edit-variants", elem_classes="thumbs", visible=False,
        )  # fmt: skip
        self.opens: list[gr.components.Component] = [
            self.result, self.variants, self.download, self.go_on, self.results, self.picture, self.bar,
        ]  # fmt: skip
        self.upload.upload(gentle(self.show), [self.upload, self.checkpoint], self.opens, **PAGE_ONLY)
        self.go_on.click(gentle(self._continue), [self.download, self.checkpoint], self.opens, **PAGE_ONLY)
        self.variants.select(Results.choose, self.results, [self.result, self.download], **AT_ONCE)

    def _place_opening(self, shipped: list[str]) -> None:
        gr.HTML(
            '<p class="told">A photo is cut to the face in it if the checkpoint knows faces, anything else to the '
            "square in its middle; what comes out is as large as the model's pictures.</p>",
            elem_id="edit-about",
        )
        if shipped:
            thumbs = gr.Gallery(
                shipped, columns=8, show_label=False, allow_preview=False, format="png", interactive=False,
                buttons=[], elem_id="edit-examples", elem_classes="thumbs",
            )  # fmt: skip
            thumbs.select(gentle(self._open_example), self.checkpoint, self.opens, **PAGE_ONLY)

    def show(self, path: str, checkpoint: str) -> tuple[Any, ...]:
        """What opens a picture file on the stage: see `opens`.

        Raises:
            PictureError, CheckpointError: the picture, or the model that is to see it, cannot be used.
        """
        square = cached(self.shelf.load(checkpoint).square(open_picture(path)))
        nothing = gr.update(value=[], visible=False)
        return (square, square), nothing, WAIT, WAIT, None, path, status(READY)

    def _open_example(self, checkpoint: str, event: gr.SelectData) -> tuple[Any, ...]:
        return self.show(str(examples.faces()[int(event.index)]), checkpoint)

    def _continue(self, result: str | None, checkpoint: str) -> tuple[Any, ...]:
        if result is None:
            raise Problem("There is no result yet to continue from; edit something first.")
        # Gradio keeps what can be downloaded in its cache, so the file stays when the next result replaces this one.
        return self.show(result, checkpoint)

    def _run(self, checkpoint: str, picture: str | None, *asked: Any) -> Iterator[Updates]:
        request = ask(EditRequest, **dict(zip(self.fields, asked, strict=True)))
        if picture is None:
            raise Problem("There is no picture yet; open one or take an example.")
        model = self.shelf.load(checkpoint)
        square = model.square(open_picture(picture))
        before, several = cached(square), request.count > 1
        for tick in watch(model.edit(request, to_tensor(square)), request.calls):
            if tick.due:
                shown = [cached(made) for made in model.pictures(tick.step.denoised)]
                # What can be taken away is what is shown, or nothing.
                yield {
                    self.result: (before, shown[0]),
                    self.variants: gr.update(value=shown if several else [], visible=several),
                    self.download: WAIT,
                    self.go_on: WAIT,
                    self.bar: tick.status,
                }
            elif tick.told:
                yield {self.bar: tick.status}
        source = Source(request, picture)
        results = Results.edited(square, model.pictures(tick.step.latent), source, model)
        yield {
            self.result: results.pair(0),
            self.variants: gr.update(value=results.shown if several else [], visible=several),
            self.download: gr.update(value=results.files[0], interactive=True),
            self.go_on: gr.update(interactive=True),
            self.results: results,
            self.last: request,
            self.bar: tick.finished,
        }
