"""The Inpaint tab: part of a picture made anew, the rest untouched to the last bit."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from ddpm_core.diffusion.samplers import Step
from ddpm_core.images.files import open_picture
from ddpm_core.images.masks import FACE_PARTS
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest, InpaintRequest
from ui import examples
from ui.components import editor_canvas
from ui.components.canvas_paint import masked, on_page, ready_made
from ui.components.choice import follow_choice
from ui.components.class_picker import class_row, classifier_row
from ui.components.controls import count_row, crop_choice, follow, holding, sampling, seed_row, shaping
from ui.components.events import AT_ONCE, ONE_AT_A_TIME, PAGE_ONLY, announced
from ui.components.made_earlier import Shown, exchange
from ui.components.progress import Updates, run_with_previews, seconds, status
from ui.components.prompt_box import negative_row, prompt_row
from ui.components.result_view import DRAG, ResultView
from ui.components.run_control import Run, RunControl
from ui.errors import Problem, as_warning, build_request, without_warning
from ui.files import cached, copied
from ui.help import lead
from ui.live_draft import DRAFT, Answer, InpaintTask, is_new
from ui.models import Shelf, knows_faces
from ui.results import Results
from ui.saved_settings import filled, left_out
from ui.serving.turns import nothing_to_make

PREVIEW = 640  # of previews while running
READY, PAINT = "Press Inpaint, or paint over what should change.", "Now paint over what should change."
# A stroke during a run waits for the visitor: the run's result must not be replaced as soon as it is there.
IF_IDLE = "(live, ...rest) => [window.studio.draft(live), ...rest]"


class InpaintTab:
    """The tab's components and what its buttons do.

    Attributes:
        picture: state, the file being painted on.
        done: state, the `RunInputs` of the last result.
        opens: the components `show` fills.
        to_process: button that carries the chosen variant to the Process tab.
    """

    def __init__(self, shelf: Shelf, checkpoint: gr.Dropdown):
        """Build the tab inside the current layout."""
        self.shelf = shelf
        self.shipped = [str(path) for path in examples.faces()]
        self.faces = knows_faces(shelf.load(shelf.first))  # as the page opens: those shipped are for such models
        first = self.shipped[0] if self.shipped and self.faces else None
        canvas, answered = _canvas(first, with_mask=True) if first else (None, None)
        self.picture, self.answered = gr.State(first), gr.State(answered)
        self.done, self.last = gr.State(None), gr.State(None)
        lead("Inpaint", "Paint over what should change. Every other pixel stays exactly as it is.")
        with gr.Row(elem_classes="studio"):
            with gr.Column(scale=3, min_width=300, elem_classes="picture"):
                self._place_editor(canvas)
            with gr.Column(scale=3, min_width=300, elem_classes=["picture", "result"]):
                made = examples.inpainted() if first else None
                after = str(made) if made else None
                message = DRAG if after else "Open a picture to begin."
                self.view = ResultView("inpaint", (first, after) if first and after else None, after, message)
                with self.view.actions:
                    self.to_process = gr.Button(
                        "Show its process", size="sm", elem_id="inpaint-to-process", interactive=False, scale=0
                    )
                self.opens: list[gr.components.Component] = [
                    self.editor, self.picture, self.answered, self.done, self.to_process, *self.view.parts,
                    self.view.bar,
                ]  # fmt: skip
                self._wire_opening()
            with gr.Column(scale=2, min_width=240, elem_classes="controls"):
                region = gr.Radio(
                    [("what I painted", False), ("everything else", True)], value=False, label="Make anew",
                    elem_id="inpaint-region",
                )  # fmt: skip
                prompt = prompt_row("inpaint", shelf, checkpoint)
                seed = seed_row("inpaint", self.last, value=1)
                label, guidance = class_row("inpaint", shelf, checkpoint, prompt)
                with gr.Column(elem_classes="run-and-live"):
                    control = RunControl("Inpaint", "inpaint")
                    live = gr.Checkbox(
                        True, label="Live: draft after every stroke", container=False, elem_id="inpaint-live"
                    )
                with gr.Accordion("Advanced", open=False):
                    count = count_row("inpaint", "Variants")
                    own = shelf.load(shelf.first).request(InpaintRequest)
                    steps, sampler = sampling("inpaint", own)
                    clamp, resamples = holding("inpaint", own)
                    by_classifier = classifier_row("inpaint", shelf, checkpoint)
                    grow, feather, crop, enlarge = shaping("inpaint", self.faces)
                    negative = negative_row("inpaint", shelf, checkpoint)
        self.fields: dict[str, gr.components.Component] = {
            "keep_painted": region, "seed": seed, "count": count, "steps": steps, "sampler": sampler,
            "clamp": clamp, "resamples": resamples, "grow": grow, "feather": feather, "crop": crop,
            "enlarge": enlarge, "label": label, "guidance": guidance, "classifier_guidance": by_classifier,
            "prompt": prompt, "negative_prompt": negative,
        }  # fmt: skip
        follow(checkpoint, shelf, InpaintRequest, self.fields)
        follow_choice(checkpoint, self._fit, [checkpoint, crop], [self.ready, self.thumbs, crop])
        follow_choice(checkpoint, self._swap, [checkpoint, self.picture], self.opens)
        given = [checkpoint, self.picture, self.editor, *self.fields.values()]
        shows = [*self.view.parts, self.to_process, self.done, self.answered]
        draft = without_warning(self._draft, lambda sentence: {self.view.bar: status(sentence)})
        # Pressed by static/canvas.js once the canvas has changed. For its own events Gradio sends a canvas ahead, as it
        # was a moment ago, and gives that to whatever asks next: on a busy machine, the last stroke is not in it.
        drawn = gr.Button(elem_id="inpaint-drawn", elem_classes="unseen")
        drafting = gr.on(
            [drawn.click, seed.change, region.input, grow.change, feather.change, crop.input, label.input],
            announced(
                draft, "draft", lambda *values: InpaintRequest(**DRAFT).model_calls, only_newest=True,
                refused=lambda sentence, live, *_: {self.view.bar: status(sentence)} if live else {},
            ),
            [live, self.answered, *given],
            [*shows, self.view.bar],
            js=IF_IDLE,
            trigger_mode="always_last",
            **PAGE_ONLY,
            **ONE_AT_A_TIME,
        )  # fmt: skip
        for answered in (drafting.then, drafting.failure):
            answered(None, js="() => window.studio.drafted()", **AT_ONCE)
        run = Run(
            self._run, given, [*shows, self.last], supersedes=[drafting],
            expects=lambda checkpoint, picture, editor, *values: self._calls(values),
        )  # fmt: skip
        control.wire(self.view.bar, run)
        self.view.go_on.click(as_warning(self._continue), self.view.download, self.opens, **PAGE_ONLY)

    def _place_editor(self, canvas: dict[str, Any] | None) -> None:
        self.editor = editor_canvas.Canvas(
            canvas,  # type: ignore[arg-type]
            type="pil", image_mode="RGBA", format="png", sources=[], transforms=(), layers=False,
            brush=gr.Brush(default_size=editor_canvas.BRUSH, colors=[_paint()], color_mode="fixed"),
            eraser=gr.Eraser(default_size=editor_canvas.BRUSH), canvas_size=(editor_canvas.CANVAS,) * 2,
            show_label=False, buttons=[], height=500, elem_id="inpaint-editor", elem_classes="stage",
            placeholder="Open a picture to begin",
        )  # fmt: skip
        with gr.Row(elem_classes=["actions", "ready"], elem_id="inpaint-ready", visible=self.faces) as self.ready:
            gr.HTML("Paint the", elem_classes="hint", padding=False)
            for name in FACE_PARTS:
                button = gr.Button(name, size="sm", elem_id=f"inpaint-ready-{name}", scale=0)
                button.click(as_warning(ready_made(name)), self.picture, self.editor, **PAGE_ONLY)
        with gr.Row(elem_classes="actions"):
            self.upload = gr.UploadButton(
                "Open a picture", file_types=["image"], size="sm", elem_id="inpaint-upload", scale=0
            )
            mask = gr.UploadButton("Open a mask", file_types=["image"], size="sm", elem_id="inpaint-mask", scale=0)
        mask.upload(as_warning(masked), [mask, self.picture], self.editor, **PAGE_ONLY)
        self.thumbs = gr.Gallery(
            self.shipped, columns=8, show_label=False, allow_preview=False, format="png", interactive=False,
            buttons=[], elem_id="inpaint-examples", elem_classes="thumbs", visible=self.faces and bool(self.shipped),
        )  # fmt: skip

    def _wire_opening(self) -> None:
        self.upload.upload(
            as_warning(lambda path: self.show(path, with_mask=False)), self.upload, self.opens, **PAGE_ONLY
        )
        self.thumbs.select(as_warning(self._open_example), None, self.opens, **PAGE_ONLY)

    def show(self, path: str, with_mask: bool = True) -> Updates:
        """Open a picture file on the canvas, with the example's mask on it if wanted; no result is shown but its own.

        Raises:
            PictureError: it is no picture.
        """
        canvas, answered = _canvas(path, with_mask)
        made = examples.inpainted() if with_mask and path in self.shipped[:1] else None
        shown = {
            **self.view.opened(canvas["background"]),
            self.editor: canvas,
            self.picture: path,
            self.answered: answered,
            self.done: None,
            self.to_process: gr.update(interactive=False),
            self.view.bar: status(READY if with_mask else PAINT),
        }
        if made is None:
            return shown
        return {**shown, **self.view.made_before(copied(path), copied(made)), self.view.bar: status(DRAG)}

    def _swap(self, checkpoint: str, picture: str | None) -> Updates:
        return exchange(
            self.shelf, checkpoint, Shown.of(picture, picture in self.shipped),
            lambda: self.show(self.shipped[0]) if self.shipped else {},
            lambda: {
                **self.view.cleared(),
                **dict.fromkeys([self.editor, self.picture, self.answered, self.done]),
                self.to_process: gr.update(interactive=False),
                self.view.bar: status("Open a picture to begin."),
            },
        )  # fmt: skip

    def fill(self, request: GenerateRequest, model: LatentDiffusion) -> Updates:
        """Put a saved picture's settings into the controls; picture and paint have to be there again."""
        message = f"Its settings are here; open its picture and paint again.{left_out(self.fields, request, model)}"
        crop = gr.update(**crop_choice(knows_faces(model), getattr(request, "crop", "auto")))
        return {**filled(self.fields, request, model), self.fields["crop"]: crop, self.view.bar: status(message)}

    def _fit(self, checkpoint: str, crop: str) -> tuple[Any, Any, Any]:
        """What checkpoints that know faces offer beside others: ready-made masks, example faces, and their crop."""
        faces = knows_faces(self.shelf.load(checkpoint))
        return (
            gr.update(visible=faces),
            gr.update(visible=faces and bool(self.shipped)),
            gr.update(**crop_choice(faces, crop)),
        )

    def _open_example(self, event: gr.SelectData) -> Updates:
        return self.show(self.shipped[int(event.index)])

    def _continue(self, result: str | None) -> Updates:
        if result is None:
            raise Problem("There is no result yet to continue from; inpaint something first.")
        # Gradio keeps what can be downloaded in its cache, so the file stays when the next result replaces this one.
        return {**self.show(result, with_mask=False), self.view.bar: status("Now paint over what should change next.")}

    def _calls(self, values: Sequence[Any]) -> int:
        return build_request(InpaintRequest, **dict(zip(self.fields, values, strict=True))).model_calls

    def _task(self, checkpoint: str, picture: str | None, editor: Any, *values: Any, **instead: Any) -> InpaintTask:
        fields = dict(zip(self.fields, values, strict=True)) | instead
        return InpaintTask.of(self.shelf, checkpoint, picture, editor, **fields)

    def _run(self, checkpoint: str, picture: str | None, editor: Any, *values: Any) -> Iterator[Updates]:
        task = self._task(checkpoint, picture, editor, *values)
        # A server that was started again has forgotten which file is open; the page has not.
        # Without paint it may be a canvas that has not drawn its picture yet.
        painted = task.inputs.painted
        if painted is not None and painted.any() and not editor_canvas.shows(editor, task.original):
            raise Problem(editor_canvas.OTHER_PICTURE)
        request, model, frame = task.request, task.model, task.frame()
        enlarger = self.shelf.enlarger(request, checkpoint, frame)
        small = frame.reduced(PREVIEW)
        before = cached(small.picture)

        def preview(step: Step) -> Updates:
            return self._unfinished(before, [cached(small.paste(made)) for made in model.pictures(step.denoised)])

        def result(step: Step, folder: Path) -> Updates:
            results = Results.of(frame, model.pictures(step.latent), task.inputs, model, enlarger)
            return {**self._finished(task, results), self.last: request}

        steps = model.inpaint(request, frame.image(), frame.mask())
        yield from run_with_previews(steps, request.calls, self.view.bar, preview, result)

    def _draft(
        self, live: bool, answered: Answer | None, checkpoint: str, picture: str | None, editor: Any, *values: Any
    ) -> Iterator[Updates]:
        yield {self.view.bar: gr.skip()}  # Gradio empties what a generator that yields nothing might have filled
        start = time.monotonic()
        task = (
            self._task(checkpoint, picture, editor, *values, **DRAFT, sampler=None)
            if live and picture is not None
            else None
        )
        if task is None or not is_new(task, editor, answered):
            nothing_to_make()
            return
        frame = task.frame()
        square, small = task.make(frame), frame.reduced(PREVIEW)
        message = status(f"Live draft in {seconds(time.monotonic() - start)} · Inpaint refines it", 1)
        if small is not frame:  # writing a large upload takes longer than making the draft
            yield {**self._unfinished(cached(small.picture), [cached(small.paste(square))]), self.view.bar: message}
        yield {
            **self._finished(task, Results.of(frame, [square], task.inputs, task.model)),
            self.view.bar: message,
        }

    def _unfinished(self, before: str, made: Sequence[str]) -> Updates:
        return {**self.view.unfinished(before, made), self.to_process: gr.update(interactive=False)}

    def _finished(self, task: InpaintTask, results: Results) -> Updates:
        return {
            **self.view.finished(results),
            self.to_process: gr.update(interactive=True),
            self.done: task.inputs,
            self.answered: task.answer,
        }


def _canvas(path: str, with_mask: bool) -> tuple[dict[str, Any], Answer]:
    """The editor's value for a picture file, with the example's mask on it if wanted, and what it is the answer to."""
    picture = open_picture(path)
    painted = examples.mask(editor_canvas.canvas_size(picture.size)) if with_mask else None
    canvas = editor_canvas.editor_value(picture, painted)
    return on_page(canvas), Answer.opened(path, picture.size, canvas)


def _paint() -> tuple[str, float]:
    red, green, blue, alpha = editor_canvas.PAINT
    return f"rgb({red}, {green}, {blue})", alpha / 255
