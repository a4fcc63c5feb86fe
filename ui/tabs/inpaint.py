"""The Inpaint tab: part of a picture made anew, the rest untouched to the last bit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import gradio as gr

from ddpm_core.images.files import open_picture
from ddpm_core.images.masks import READY, open_mask, ready_made
from ddpm_core.requests import InpaintRequest
from ui import examples, masks
from ui.classes import class_row
from ui.controls import count_row, sampling, seed_row, shaping
from ui.errors import Problem, gentle, quiet
from ui.files import cached
from ui.help import lead
from ui.models import Shelf
from ui.results import Results
from ui.tabs.live import AT_ONCE, ONE_AT_A_TIME, PAGE_ONLY, RunControl, seconds, status, watch
from ui.tabs.repaint import DRAFT, Answer, Task, news

PREVIEW = 640  # of previews while running
WAIT = gr.update(interactive=False)
TAKE = gr.update(interactive=True)
# A stroke during a run waits for the visitor: the run's result must not be replaced as soon as it is there.
IF_IDLE = "(live, ...rest) => [live && !window.studio.running('inpaint'), ...rest]"

Updates = dict[gr.components.Component, Any]


class InpaintTab:
    """The tab's components and what its buttons do.

    Attributes:
        picture: state, the file being painted on, as it was uploaded.
        done: state, the `Source` of the last result, for showing its process.
        chosen: state, which variant the visitor picked.
        opens: the components `show` fills.
        to_process: button that carries the chosen variant to the Process tab.
    """

    def __init__(self, shelf: Shelf, checkpoint: gr.Dropdown):
        """Build the tab inside the current layout."""
        self.shelf = shelf
        shipped = examples.faces()
        first = str(shipped[0]) if shipped else None
        canvas, _, answered = self.show(first) if first else (None, None, None)
        self.picture, self.answered = gr.State(first), gr.State(answered)
        self.done, self.chosen = gr.State(None), gr.State(0)
        self.last, self.results = gr.State(None), gr.State(None)
        lead("Inpaint", "Paint over what should change. Every other pixel stays exactly as it is.")
        with gr.Row(elem_classes="studio"):
            with gr.Column(scale=3, min_width=300, elem_classes="picture"):
                self._place_editor(canvas, [str(path) for path in shipped])
            with gr.Column(scale=3, min_width=300, elem_classes=["picture", "result"]):
                after = examples.inpainted() if first else None
                self._place_result(first, str(after) if after else None)
            with gr.Column(scale=2, min_width=240, elem_classes="controls"):
                region = gr.Radio(
                    [("what I painted", False), ("everything else", True)], value=False, label="Make anew",
                    elem_id="inpaint-region",
                )  # fmt: skip
                seed = seed_row("inpaint", self.last, value=1)
                label, guidance = class_row("inpaint", shelf, checkpoint)
                with gr.Column(elem_classes="run-and-live"):
                    control = RunControl("Inpaint", "inpaint")
                    live = gr.Checkbox(
                        True, label="Live: draft after every stroke", container=False, elem_id="inpaint-live"
                    )
                with gr.Accordion("Advanced", open=False):
                    count = count_row("inpaint", "Variants")
                    steps, sampler = sampling("inpaint", InpaintRequest)
                    grow, feather, crop = shaping("inpaint")
        self.fields: dict[str, gr.components.Component] = {
            "keep_painted": region, "seed": seed, "count": count, "steps": steps, "sampler": sampler,
            "grow": grow, "feather": feather, "crop": crop, "label": label, "guidance": guidance,
        }  # fmt: skip
        given = [checkpoint, self.picture, self.editor, *self.fields.values()]
        made = [
            self.result, self.variants, self.download, self.go_on, self.to_process, self.results, self.done,
            self.chosen, self.answered,
        ]  # fmt: skip
        drafting = gr.on(
            [self.editor.input, seed.change, region.input, grow.change, feather.change, crop.input, label.input],
            quiet(self._draft, lambda sentence: {self.bar: status(sentence)}),
            [live, self.answered, *given],
            [*made, self.bar],
            js=IF_IDLE,
            trigger_mode="always_last",
            **PAGE_ONLY,
            **ONE_AT_A_TIME,
        )
        control.wire(self._run, given, [*made, self.last], self.bar, supersedes=[drafting])

    def _place_editor(self, canvas: dict[str, Any] | None, shipped: list[str]) -> None:
        self.editor = gr.ImageEditor(
            canvas,  # type: ignore[arg-type]
            type="pil", image_mode="RGBA", format="png", sources=[], transforms=(), layers=False,
            brush=gr.Brush(default_size=masks.BRUSH, colors=[_paint()], color_mode="fixed"),
            eraser=gr.Eraser(default_size=masks.BRUSH), canvas_size=(masks.CANVAS, masks.CANVAS),
            show_label=False, buttons=[], height=500, elem_id="inpaint-editor", elem_classes="stage",
            placeholder="Open a picture to begin",
        )  # fmt: skip
        self.opens: list[gr.components.Component] = [self.editor, self.picture, self.answered]
        with gr.Row(elem_classes=["actions", "ready"]):
            gr.HTML("Paint the", elem_classes="told", padding=False)
            for name in READY:
                button = gr.Button(name, size="sm", elem_id=f"inpaint-ready-{name}", scale=0)
                button.click(gentle(_ready(name)), self.picture, self.editor, **PAGE_ONLY)
        with gr.Row(elem_classes="actions"):
            upload = gr.UploadButton(
                "Open a picture", file_types=["image"], size="sm", elem_id="inpaint-upload", scale=0
            )
            mask = gr.UploadButton("Open a mask", file_types=["image"], size="sm", elem_id="inpaint-mask", scale=0)
        upload.upload(gentle(lambda path: self.show(path, with_mask=False)), upload, self.opens, **PAGE_ONLY)
        mask.upload(gentle(_masked), [mask, self.picture], self.editor, **PAGE_ONLY)
        if shipped:
            thumbs = gr.Gallery(
                shipped, columns=8, show_label=False, allow_preview=False, format="png", interactive=False,
                buttons=[], elem_id="inpaint-examples", elem_classes="thumbs",
            )  # fmt: skip
            thumbs.select(gentle(self._open_example), None, self.opens, **PAGE_ONLY)

    def _place_result(self, before: str | None, after: str | None) -> None:
        self.result = gr.ImageSlider(
            (before, after) if before and after else None,
            format="png", type="filepath", show_label=False, interactive=False, buttons=["fullscreen"],
            elem_id="inpaint-result", elem_classes="stage", slider_position=50, max_height=2000,
        )  # fmt: skip
        self.bar = RunControl.place_bar("inpaint", "Drag the line: before on the left, after on the right.")
        with gr.Row(elem_classes="actions"):
            self.download = gr.DownloadButton(
                "Download PNG", after, size="sm", elem_id="inpaint-download", interactive=after is not None, scale=0
            )
            self.go_on = gr.Button(
                "Continue from this", size="sm", elem_id="inpaint-continue", interactive=after is not None, scale=0
            )
            self.to_process = gr.Button("Show its process", size="sm", elem_id="inpaint-to-process", scale=0)
        self.variants = gr.Gallery(
            columns=8, show_label=False, allow_preview=False, format="png", interactive=False, buttons=[],
            elem_id="inpaint-variants", elem_classes="thumbs", visible=False,
        )  # fmt: skip
        self.variants.select(_choose, self.results, [self.result, self.download, self.chosen], **AT_ONCE)
        self.go_on.click(gentle(self._continue), self.download, [*self.opens, self.bar], **PAGE_ONLY)

    @staticmethod
    def show(path: str, with_mask: bool = True) -> tuple[dict[str, Any], str, Answer]:
        """What opens a picture file on the canvas, with the example's mask on it if wanted: see `opens`.

        Raises:
            PictureError: it is no picture.
        """
        picture = open_picture(path)
        painted = examples.mask(masks.canvas_size(picture.size)) if with_mask else None
        canvas = masks.editor_value(picture, painted)
        return _on_page(canvas), path, Answer.opened(path, picture.size, canvas)

    def _open_example(self, event: gr.SelectData) -> tuple[Any, ...]:
        return self.show(str(examples.faces()[int(event.index)]))

    def _continue(self, result: str | None) -> tuple[Any, ...]:
        if result is None:
            raise Problem("There is no result yet to continue from; inpaint something first.")
        # Gradio keeps what can be downloaded in its cache, so the file stays when the next result replaces this one.
        return *self.show(result, with_mask=False), status("Now paint over what should change next.")

    def _task(self, checkpoint: str, picture: str | None, editor: Any, *asked: Any, **instead: Any) -> Task:
        fields = dict(zip(self.fields, asked, strict=True)) | instead
        return Task.of(self.shelf, checkpoint, picture, editor, **fields)

    def _run(self, *given: Any) -> Iterator[Updates]:
        task = self._task(*given)
        request, model, frame = task.request, task.model, task.frame()
        preview = frame.reduced(PREVIEW)
        several, before = request.count > 1, cached(preview.picture)
        for tick in watch(model.inpaint(request, frame.image(), frame.keep()), request.calls):
            if tick.due:
                shown = [cached(preview.paste(made)) for made in model.pictures(tick.step.denoised)]
                yield {
                    **self._unfinished((before, shown[0])),
                    self.variants: gr.update(value=shown if several else [], visible=several),
                    self.bar: tick.status,
                }
            elif tick.told:
                yield {self.bar: tick.status}
        results = Results.of(frame, model.pictures(tick.step.latent), task.source, model)
        yield {**self._finished(task, results), self.last: request, self.bar: tick.finished}

    def _draft(
        self, live: bool, answered: Answer | None, checkpoint: str, picture: str | None, editor: Any, *asked: Any
    ) -> Iterator[Updates]:
        yield {self.bar: gr.skip()}  # Gradio empties what a generator that yields nothing might have filled
        start = time.monotonic()
        if not live or picture is None:
            return
        task = self._task(checkpoint, picture, editor, *asked, **DRAFT)
        if not news(task, editor, answered):
            return
        frame = task.frame()
        square, preview = task.make(frame), frame.reduced(PREVIEW)
        told = status(f"Live draft in {seconds(time.monotonic() - start)} · Inpaint refines it", 1)
        if preview is not frame:  # writing a large upload takes longer than making the draft
            pair = cached(preview.picture), cached(preview.paste(square))
            yield {**self._unfinished(pair), self.bar: told}
        yield {**self._finished(task, Results.of(frame, [square], task.source, task.model)), self.bar: told}

    def _unfinished(self, pair: Any) -> Updates:
        # What can be taken away is what is shown, or nothing.
        return {self.result: pair, self.download: WAIT, self.go_on: WAIT, self.to_process: WAIT}

    def _finished(self, task: Task, results: Results) -> Updates:
        several = task.request.count > 1
        return {
            self.result: results.pair(0),
            self.variants: gr.update(value=results.shown if several else [], visible=several),
            self.download: gr.update(value=results.files[0], interactive=True),
            self.go_on: TAKE,
            self.to_process: TAKE,
            self.results: results,
            self.done: task.source,
            self.chosen: 0,
            self.answered: task.answer,
        }


def _choose(results: Results | None, event: gr.SelectData) -> tuple[Any, Any, int]:
    return *Results.choose(results, event), int(event.index) if results else 0


def _on_page(canvas: dict[str, Any]) -> dict[str, Any]:
    shown = {part: cached(canvas[part]) for part in ("background", "composite")}
    return {**shown, "layers": [cached(layer) for layer in canvas["layers"]]}


def _ready(name: str) -> Any:
    def paint(picture: str | None) -> dict[str, Any]:
        if picture is None:
            raise Problem("Open a picture first, then choose what to paint on it.")
        original = open_picture(picture)
        return _on_page(masks.editor_value(original, ready_made(name, original, masks.canvas_size(original.size))))

    return paint


def _masked(path: str, picture: str | None) -> dict[str, Any]:
    if picture is None:
        raise Problem("Open a picture first, then the mask for it.")
    original = open_picture(picture)
    return _on_page(masks.editor_value(original, open_mask(path, original.size)))


def _paint() -> tuple[str, float]:
    red, green, blue, alpha = masks.PAINT
    return f"rgb({red}, {green}, {blue})", alpha / 255
