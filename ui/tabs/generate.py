"""The Generate tab: seeds to pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from ddpm_core.requests import GenerateRequest
from ui import examples
from ui.classes import class_row
from ui.controls import count_row, sampling, seed_row, stage_of
from ui.errors import ask
from ui.files import cached, workspace
from ui.help import lead
from ui.models import Shelf
from ui.results import save
from ui.tabs.live import AT_ONCE, RunControl, watch


class GenerateTab:
    """The tab's components and what its button does.

    Attributes:
        gallery: the pictures.
        last: state, the request that made them; None for the shipped ones.
        chosen: state, which of them the visitor picked.
        to_inpaint, to_edit, to_process: buttons that carry the chosen picture to the other tabs.
    """

    def __init__(self, shelf: Shelf, checkpoint: gr.Dropdown):
        """Build the tab inside the current layout."""
        self.shelf = shelf
        shown = examples.faces()
        made = examples.request_of(shown)
        self.last, self.chosen = gr.State(made), gr.State(0)
        lead("Generate", "Each seed is a picture nobody has. Press the button and see it form out of noise.")
        with gr.Row(elem_classes="studio"):
            with gr.Column(scale=3, elem_classes="picture"):
                self.gallery = gr.Gallery(
                    list(zip(map(str, shown), captions_of(made), strict=False)) if made else list(map(str, shown)),
                    show_label=False, format="png", interactive=False,
                    object_fit="contain", buttons=["download", "fullscreen"], elem_id="generate-gallery",
                    elem_classes=stage_of(len(shown)),
                )  # fmt: skip
                told = f"Made earlier, from seed {made.seed} on." if made else "Nothing made yet."
                self.bar = RunControl.place_bar("generate", told)
                with gr.Row(elem_classes="actions"):
                    self.to_inpaint = gr.Button("Inpaint this", size="sm", elem_id="generate-to-inpaint")
                    self.to_edit = gr.Button("Edit this", size="sm", elem_id="generate-to-edit")
                    self.to_process = gr.Button("Show its process", size="sm", elem_id="generate-to-process")
            with gr.Column(scale=1, min_width=264, elem_classes="controls"):
                seed = seed_row("generate", self.last, value=examples.NEXT_SEED if made else 0)
                label, guidance = class_row("generate", shelf, checkpoint)
                count = count_row("generate")
                control = RunControl("Generate", "generate")
                with gr.Accordion("Advanced", open=False):
                    steps, sampler = sampling("generate")
        control.wire(
            self._run,
            [checkpoint, seed, count, steps, sampler, label, guidance],
            [self.gallery, self.last, self.chosen],
            self.bar,
        )
        self.gallery.select(_index, outputs=self.chosen, **AT_ONCE)

    def _run(
        self, checkpoint: str, seed: float, count: float, steps: float, sampler: str, label: str, guidance: float
    ) -> Iterator[dict[gr.components.Component, Any]]:
        asked = {"seed": seed, "count": count, "steps": steps, "sampler": sampler}
        request = ask(GenerateRequest, **asked, label=label, guidance=guidance)
        model = self.shelf.load(checkpoint)
        classes = stage_of(request.count)
        captions = captions_of(request)
        for tick in watch(model.generate(request), request.steps):
            if tick.due:
                pictures = zip(map(cached, model.pictures(tick.step.denoised)), captions, strict=True)
                preview = gr.update(value=list(pictures), elem_classes=classes, selected_index=None)
                yield {self.gallery: preview, self.bar: tick.status}
            elif tick.told:
                yield {self.bar: tick.status}
        with workspace() as folder:
            paths = save(model.pictures(tick.step.latent), request, model, folder)
            yield {
                self.gallery: gr.update(
                    value=list(zip(paths, captions, strict=True)), elem_classes=classes, selected_index=None
                ),
                self.last: request,
                self.chosen: 0,
                self.bar: tick.finished,
            }


def captions_of(request: GenerateRequest) -> list[str]:
    """What stands under each picture of a batch."""
    shown = "" if request.label is None else f"{request.label}, "
    return [f"{shown}seed {one.seed}" for one in request.singles()]


def _index(event: gr.SelectData) -> int:
    return int(event.index)
