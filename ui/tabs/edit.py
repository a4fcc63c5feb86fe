"""The Edit tab: a whole picture, or a drawing, made anew from a noised version of itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from ddpm_core.diffusion.samplers import Step
from ddpm_core.images.files import open_picture, to_tensor
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import EditRequest, GenerateRequest
from ui import examples
from ui.components import editor_canvas
from ui.components.choice import follow_choice
from ui.components.class_picker import class_row, classifier_row
from ui.components.controls import count_row, follow, sampling, seed_row
from ui.components.enlarging import Enlarging
from ui.components.events import PAGE_ONLY
from ui.components.made_earlier import Shown, exchange
from ui.components.progress import Updates, run_with_previews, status
from ui.components.prompt_box import negative_row, prompt_row
from ui.components.result_view import DRAG, ResultView
from ui.components.run_control import Run, RunControl
from ui.errors import Problem, as_warning, build_request
from ui.files import cached, opened_upload
from ui.help import lead
from ui.models import Shelf, knows_faces
from ui.results import Results
from ui.run_inputs import RunInputs
from ui.saved_settings import filled, left_out

READY = "Press Edit: before on the left, after on the right."
DRAW = "Draw, then press Edit: the more strength, the freer your drawing is taken."


class EditTab:
    """The tab's components and what its buttons do.

    Attributes:
        picture: state, the file that is edited.
        drawing: the column of the canvas `editor`, hidden until somebody draws.
        opens: the components `show` fills.
    """

    def __init__(self, shelf: Shelf, checkpoint: gr.Dropdown):
        """Build the tab inside the current layout."""
        self.shelf, self.checkpoint = shelf, checkpoint
        self.shipped = [str(path) for path in examples.faces()]
        faces = bool(self.shipped) and knows_faces(shelf.load(shelf.first))  # those shipped are for such models
        made = examples.edited() if faces else None
        first, after = (self.shipped[0] if faces else None), (str(made) if made else None)
        request = examples.request_in(made, EditRequest) if made else None
        self.picture, self.last = gr.State(first), gr.State(request)
        lead("Edit", "The whole picture, made anew: the less strength, the closer it stays to what it was.")
        with gr.Row(elem_classes="studio"):
            with gr.Column(
                scale=3, min_width=300, elem_classes="picture", visible=False, elem_id="edit-drawing"
            ) as column:
                self.drawing = column
                self._place_editor()
            with gr.Column(scale=3, elem_classes=["picture", "result-of-edit"]):
                message = (DRAG if after else READY) if first else "Open a picture to begin."
                self.view = ResultView("edit", (first, after or first) if first else None, after, message)
                with self.view.actions:
                    upload = gr.UploadButton(
                        "Open a picture", file_types=["image"], size="sm", elem_id="edit-upload", scale=0
                    )
                    draw = gr.Button("Draw on it", size="sm", elem_id="edit-draw", scale=0)
                    blank = gr.Button("Blank canvas", size="sm", elem_id="edit-blank", scale=0)
                    self.enlarging = Enlarging("edit", shelf, checkpoint)
                self.opens: list[gr.components.Component] = [
                    *self.view.parts, self.view.bar, self.picture, self.editor,
                ]  # fmt: skip
                self._place_opening(faces)
            with gr.Column(scale=1, min_width=264, elem_classes="controls"):
                field = EditRequest.model_fields["strength"]
                strength = gr.Slider(
                    0.05, 1, request.strength if request else field.default, step=0.05, label="Strength",
                    elem_id="edit-strength", buttons=[], info="How much noise is laid over it; 1 hides all of it.",
                )  # fmt: skip
                prompt = prompt_row("edit", shelf, checkpoint)
                seed = seed_row("edit", self.last, value=request.seed + 1 if request else 0)
                label, guidance = class_row("edit", shelf, checkpoint, prompt)
                count = count_row("edit", "Variants")
                control = RunControl("Edit", "edit")
                with gr.Accordion("Advanced", open=False):
                    steps, sampler = sampling("edit", shelf.load(shelf.first).request(EditRequest))
                    by_classifier = classifier_row("edit", shelf, checkpoint)
                    negative = negative_row("edit", shelf, checkpoint)
        self.fields: dict[str, gr.components.Component] = {
            "strength": strength, "seed": seed, "label": label, "guidance": guidance, "count": count, "steps": steps,
            "sampler": sampler, "classifier_guidance": by_classifier, "prompt": prompt, "negative_prompt": negative,
        }  # fmt: skip
        follow(checkpoint, shelf, EditRequest, self.fields)
        edit = Run(
            self._run,
            [checkpoint, self.picture, self.editor, *self.fields.values()],
            [*self.view.parts, self.last],
            expects=lambda checkpoint, picture, canvas, *values: self._request(values).model_calls,
        )
        enlarge = Run(
            self._enlarge,
            [checkpoint, self.view.results, self.view.chosen, self.picture, seed],
            self.view.parts,
            expects=lambda checkpoint, results, chosen, picture, seed: self.enlarging.calls(
                checkpoint, [str(_shown(results, chosen, picture))], seed
            ),
            button=self.enlarging.button,
        )
        control.wire(self.view.bar, edit, enlarge)
        canvas: list[gr.blocks.Block] = [*self.opens, self.drawing]
        draw.click(as_warning(self._draw), [self.picture, checkpoint], canvas, **PAGE_ONLY)
        blank.click(as_warning(self._blank), checkpoint, canvas, **PAGE_ONLY)
        self.put_away.click(as_warning(self._put_away), [self.picture, checkpoint], canvas, **PAGE_ONLY)
        upload.upload(as_warning(self.show), [upload, checkpoint], self.opens, **PAGE_ONLY)
        self.view.go_on.click(as_warning(self._continue), [self.view.download, checkpoint], self.opens, **PAGE_ONLY)

    def _place_editor(self) -> None:
        self.editor = editor_canvas.Canvas(
            type="pil", image_mode="RGBA", format="png", sources=[], transforms=(), layers=False,
            brush=gr.Brush(default_size=editor_canvas.PEN, colors=[*editor_canvas.COLOURS]),
            eraser=gr.Eraser(default_size=editor_canvas.PEN), canvas_size=(editor_canvas.CANVAS,) * 2,
            show_label=False, buttons=[], height=500, elem_id="edit-editor", elem_classes="stage",
            placeholder="Open a picture to begin",
        )  # fmt: skip
        with gr.Row(elem_classes="actions"):
            self.put_away = gr.Button("Put the canvas away", size="sm", elem_id="edit-put-away", scale=0)

    def _place_opening(self, faces: bool) -> None:
        about = gr.HTML(_about(self.shelf.load(self.shelf.first)), elem_id="edit-about")
        follow_choice(self.checkpoint, lambda name: _about(self.shelf.load(name)), [self.checkpoint], [about])
        thumbs = gr.Gallery(
            self.shipped, columns=8, show_label=False, allow_preview=False, format="png", interactive=False,
            buttons=[], elem_id="edit-examples", elem_classes="thumbs", visible=faces,
        )  # fmt: skip
        thumbs.select(as_warning(self._open_example), self.checkpoint, self.opens, **PAGE_ONLY)
        self.thumbs = thumbs
        follow_choice(self.checkpoint, self._swap, [self.checkpoint, self.picture], [thumbs, *self.opens])

    def _swap(self, checkpoint: str, picture: str | None) -> Updates:
        changed = exchange(
            self.shelf, checkpoint, Shown.of(picture, picture in self.shipped),
            lambda: self.show(self.shipped[0], checkpoint) if self.shipped else {},
            lambda: {
                **self.view.cleared(),
                self.picture: None,
                self.editor: None,
                self.view.bar: status("Open a picture to begin."),
            },
        )  # fmt: skip
        faces = bool(self.shipped) and knows_faces(self.shelf.load(checkpoint))
        return {self.thumbs: gr.update(visible=faces), **changed}

    def show(self, path: str, checkpoint: str) -> Updates:
        """Open a picture file on the stage and on the canvas.

        Raises:
            PictureError, CheckpointError: it, or the model, cannot be used.
        """
        square = self.shelf.load(checkpoint).square(open_picture(path))
        canvas = cached(editor_canvas.canvas(square))
        return {
            **self.view.opened(cached(square)),
            self.picture: path,
            self.editor: {"background": canvas, "layers": [], "composite": canvas},
            self.view.bar: status(READY),
        }

    def _draw(self, picture: str | None, checkpoint: str) -> Updates:
        """Open the canvas with the picture on it."""
        if picture is None:
            return self._blank(checkpoint)
        return {**self.show(picture, checkpoint), self.drawing: gr.update(visible=True), self.view.bar: status(DRAW)}

    def _blank(self, checkpoint: str) -> Updates:
        return self._draw(cached(Image.new("RGB", (editor_canvas.CANVAS,) * 2, "white")), checkpoint)

    def _put_away(self, picture: str | None, checkpoint: str) -> Updates:
        """Close the canvas, and take the strokes away."""
        shown = {} if picture is None else self.show(picture, checkpoint)
        return {**shown, self.drawing: gr.update(visible=False)}

    def fill(self, request: GenerateRequest, model: LatentDiffusion) -> Updates:
        """Put a saved picture's settings into the controls; what it was made of, the visitor has to open."""
        message = f"Its settings are here; open the picture it was made of.{left_out(self.fields, request, model)}"
        return {**filled(self.fields, request, model), self.view.bar: status(message)}

    def _open_example(self, checkpoint: str, event: gr.SelectData) -> Updates:
        return self.show(self.shipped[int(event.index)], checkpoint)

    def _continue(self, result: str | None, checkpoint: str) -> Updates:
        if result is None:
            raise Problem("There is no result yet to continue from; edit something first.")
        # Gradio keeps what can be downloaded in its cache, so the file stays when the next result replaces this one.
        return self.show(result, checkpoint)

    def _request(self, values: Sequence[Any], model: LatentDiffusion | None = None) -> EditRequest:
        return build_request(EditRequest, model, **dict(zip(self.fields, values, strict=True)))

    def _run(self, checkpoint: str, picture: str | None, canvas: Any, *values: Any) -> Iterator[Updates]:
        model = self.shelf.load(checkpoint)
        request = self._request(values, model)
        picture = editor_canvas.opened(picture, canvas)
        square = model.square(opened_upload(picture))
        if editor_canvas.painted_on(canvas, square.size).any():
            if not editor_canvas.shows(canvas, square):
                raise Problem(editor_canvas.OTHER_PICTURE)
            square = editor_canvas.drawn_on(canvas, square)
        before = cached(square)

        def preview(step: Step) -> Updates:
            return self.view.unfinished(before, [cached(made) for made in model.pictures(step.denoised)])

        def result(step: Step, folder: Path) -> Updates:
            results = Results.edited(square, model.pictures(step.latent), RunInputs(request, picture), model)
            return {**self.view.finished(results), self.last: request}

        steps = model.edit(request, to_tensor(square))
        yield from run_with_previews(steps, request.calls, self.view.bar, preview, result)

    def _enlarge(
        self, checkpoint: str, results: Results | None, chosen: int, picture: str | None, seed: float | None
    ) -> Iterator[Updates]:
        """The result that is shown, or the picture that is open, made larger."""
        path = _shown(results, chosen, picture)
        yield from self.enlarging.run(
            checkpoint, [path] if path else [], seed, self.view.bar,
            lambda before, made: self.view.unfinished(before[0], made),
            lambda results: self.view.finished(results[0]),
        )  # fmt: skip


def _shown(results: Results | None, chosen: int, picture: str | None) -> str | None:
    """File of the result that is shown, or of the picture that is open."""
    return results.files[chosen] if results else picture


def _about(model: LatentDiffusion) -> str:
    """What becomes of a photo that is opened."""
    kept = "the face in it, or without one to the square" if knows_faces(model) else "the square"
    return (
        f'<p class="hint">A photo is cut to {kept} in its middle; what comes out is as large as the model\'s '
        f"pictures, {model.size} pixels a side.</p>"
    )
