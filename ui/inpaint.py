"""The Inpaint tab: part of a picture made anew, the rest untouched to the last bit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from ddpm_core.pictures import open_picture
from ddpm_core.schema import InpaintRequest
from ui import examples, masks
from ui.controls import count_row, sampling, seed_row
from ui.errors import Problem, ask, gentle
from ui.live import AT_ONCE, PAGE_ONLY, RunControl, watch
from ui.models import Shelf
from ui.results import Results
from ui.source import Source

PREVIEW = 640  # of previews while running

Updates = dict[gr.components.Component, Any]


class InpaintTab:
    """The tab's components and what its buttons do.

    Attributes:
        picture: state, the file being painted on, as it was uploaded.
        done: state, the `Source` of the last result, for showing its process.
        chosen: state, which variant the visitor picked.
        to_process: button that carries the chosen variant to the Process tab.
    """

    def __init__(self, shelf: Shelf, checkpoint: gr.Dropdown):
        """Build the tab inside the current layout."""
        self.shelf = shelf
        shipped = examples.faces()
        first = str(shipped[0]) if shipped else None
        self.picture, self.done, self.chosen = gr.State(first), gr.State(None), gr.State(0)
        self.last, self.results = gr.State(None), gr.State(None)
        gr.HTML('<p class="lead">Paint over what should change. Every other pixel stays exactly as it is.</p>')
        with gr.Row(elem_classes="studio"):
            with gr.Column(scale=3, min_width=300, elem_classes="picture"):
                self.editor = gr.ImageEditor(
                    opened(first) if first else None,  # type: ignore[arg-type]
                    type="pil", image_mode="RGBA", format="png", sources=[], transforms=(), layers=False,
                    brush=gr.Brush(default_size=masks.BRUSH, colors=[_paint()], color_mode="fixed"),
                    eraser=gr.Eraser(default_size=masks.BRUSH), canvas_size=(masks.CANVAS, masks.CANVAS),
                    show_label=False, buttons=[], height=500, elem_id="inpaint-editor", elem_classes="stage",
                    placeholder="Open a picture to begin",
                )  # fmt: skip
                with gr.Row(elem_classes="actions"):
                    upload = gr.UploadButton(
                        "Open a picture", file_types=["image"], size="sm", elem_id="inpaint-upload", scale=0
                    )
                    mask = gr.UploadButton(
                        "Open a mask", file_types=["image"], size="sm", elem_id="inpaint-mask", scale=0
                    )
                if shipped:
                    thumbs = gr.Gallery(
                        [str(path) for path in shipped], columns=8, show_label=False, allow_preview=False,
                        format="png", interactive=False, buttons=[], elem_id="inpaint-examples", elem_classes="thumbs",
                    )  # fmt: skip
                    thumbs.select(gentle(self._open_example), None, [self.editor, self.picture], **PAGE_ONLY)
            with gr.Column(scale=3, min_width=300, elem_classes=["picture", "result"]):
                after = examples.inpainted()
                self.result = gr.ImageSlider(
                    (first, str(after)) if first and after else None,
                    format="png", type="filepath", show_label=False, interactive=False, buttons=["fullscreen"],
                    elem_id="inpaint-result", elem_classes="stage", slider_position=50, max_height=2000,
                )  # fmt: skip
                self.bar = RunControl.place_bar("inpaint", "Drag the line: before on the left, after on the right.")
                with gr.Row(elem_classes="actions"):
                    self.download = gr.DownloadButton(
                        "Download PNG", str(after) if after else None, size="sm", elem_id="inpaint-download",
                        interactive=after is not None, scale=0,
                    )  # fmt: skip
                    self.to_process = gr.Button("Show its process", size="sm", elem_id="inpaint-to-process", scale=0)
                self.variants = gr.Gallery(
                    columns=8, show_label=False, allow_preview=False, format="png", interactive=False, buttons=[],
                    elem_id="inpaint-variants", elem_classes="thumbs", visible=False,
                )  # fmt: skip
            with gr.Column(scale=2, min_width=240, elem_classes="controls"):
                region = gr.Radio(
                    [("what I painted", False), ("everything else", True)], value=False, label="Make anew",
                    elem_id="inpaint-region",
                )  # fmt: skip
                seed = seed_row("inpaint", self.last, value=1)
                control = RunControl("Inpaint", "inpaint")
                with gr.Accordion("Advanced", open=False):
                    count = count_row("inpaint", "Variants")
                    steps, sampler = sampling("inpaint")
        control.wire(
            self._run,
            [checkpoint, self.picture, self.editor, region, seed, count, steps, sampler],
            [self.result, self.variants, self.download, self.results, self.last, self.done, self.chosen],
            self.bar,
        )
        upload.upload(gentle(self._open_upload), upload, [self.editor, self.picture], **PAGE_ONLY)
        mask.upload(gentle(_masked), [mask, self.picture], self.editor, **PAGE_ONLY)
        self.variants.select(_choose, self.results, [self.result, self.download, self.chosen], **AT_ONCE)

    def _open_upload(self, path: str) -> tuple[Any, str]:
        return opened(path, with_mask=False), path

    def _open_example(self, event: gr.SelectData) -> tuple[Any, str]:
        path = str(examples.faces()[int(event.index)])
        return opened(path), path

    def _run(
        self,
        checkpoint: str,
        picture: str | None,
        editor: dict[str, Any] | None,
        keep_painted: bool,
        seed: float,
        count: float,
        steps: float,
        sampler: str,
    ) -> Iterator[Updates]:
        request = ask(InpaintRequest, keep_painted=keep_painted, seed=seed, count=count, steps=steps, sampler=sampler)
        if picture is None:
            raise Problem("There is no picture yet; open one or take an example.")
        original = open_picture(picture)
        source = Source(request, picture, masks.painted_on(editor, original.size))
        model = self.shelf.load(checkpoint)
        frame = source.frame(model, original)
        preview = frame.reduced(PREVIEW)
        several = request.count > 1
        for tick in watch(model.inpaint(request, frame.image(), frame.keep()), request.steps):
            if tick.due:
                shown = [preview.paste(made) for made in model.pictures(tick.step.denoised)]
                yield {
                    self.result: (preview.picture, shown[0]),
                    self.variants: gr.update(value=shown if several else [], visible=several),
                    self.bar: tick.status,
                }
        results = Results.of(frame, model.pictures(tick.step.latent), request, model)
        yield {
            self.result: results.pair(0),
            self.variants: gr.update(value=results.shown if several else [], visible=several),
            self.download: gr.update(value=results.files[0], interactive=True),
            self.results: results,
            self.last: request,
            self.done: source,
            self.chosen: 0,
            self.bar: tick.finished,
        }


def _choose(results: Results | None, event: gr.SelectData) -> tuple[Any, Any, int]:
    if results is None:
        return gr.skip(), gr.skip(), 0
    index = int(event.index)
    return results.pair(index), results.files[index], index


def opened(path: str, with_mask: bool = True) -> dict[str, Any]:
    """What the editor shows for a picture file, with the example's mask on it if wanted.

    Raises:
        PictureError: it is no picture.
    """
    picture = open_picture(path)
    return masks.editor_value(picture, examples.mask(masks.canvas_size(picture.size)) if with_mask else None)


def _masked(path: str, picture: str | None) -> dict[str, Any]:
    if picture is None:
        raise Problem("Open a picture first, then the mask for it.")
    original = open_picture(picture)
    return masks.editor_value(original, masks.from_file(path, original.size))


def _paint() -> tuple[str, float]:
    red, green, blue, alpha = masks.PAINT
    return f"rgb({red}, {green}, {blue})", alpha / 255
