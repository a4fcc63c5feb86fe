"""The Generate tab: seeds to pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from ddpm_core.diffusion.samplers import Step
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest
from ui import examples
from ui.components.choice import follow_choice
from ui.components.class_picker import class_row, classifier_row
from ui.components.controls import count_row, follow, sampling, seed_row, stage_of
from ui.components.enlarging import Enlarging
from ui.components.events import AT_ONCE
from ui.components.made_earlier import MadeWith, Shown, exchange
from ui.components.progress import NOTHING, Updates, run_with_previews, status
from ui.components.prompt_box import negative_row, prompt_row
from ui.components.run_control import Run, RunControl
from ui.errors import Problem, build_request
from ui.files import cached, copied
from ui.help import lead
from ui.models import Shelf, knows_faces
from ui.results import save
from ui.saved_settings import filled, left_out
from ui.serving.together import ModelRequest, generated

CARRIES = {"Inpaint this": "to-inpaint", "Edit this": "to-edit", "Show its process": "to-process"}


class GenerateTab:
    """The tab's components and what its buttons do.

    Attributes:
        last: state, the request that made the pictures.
        chosen: state, which of them the visitor picked.
        fields: the controls, by the request's fields.
        settings: button that takes a saved picture's settings.
        to_inpaint, to_edit, to_process: buttons that carry the chosen picture to the other tabs.
    """

    def __init__(self, shelf: Shelf, checkpoint: gr.Dropdown):
        """Build the tab inside the current layout."""
        self.shelf = shelf
        self.shipped = examples.faces()
        self.example = examples.request_of(self.shipped)
        faces = knows_faces(shelf.load(shelf.first))  # which those made earlier are
        shown, made = (self.shipped, self.example) if faces else ([], None)
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
                message = _made_earlier(made) if made else NOTHING
                self.bar = RunControl.place_bar("generate", message)
                self.made_with = MadeWith("generate-made-with")
                with gr.Row(elem_classes="actions"):
                    self.to_inpaint, self.to_edit, self.to_process = (
                        gr.Button(words, size="sm", elem_id=f"generate-{name}", interactive=bool(shown))
                        for words, name in CARRIES.items()
                    )
                    self.enlarging = Enlarging("generate", shelf, checkpoint)
                    self.settings = gr.UploadButton(
                        "Use a PNG's settings", file_types=[".png"], size="sm", elem_id="generate-settings", scale=0
                    )
            with gr.Column(scale=1, min_width=264, elem_classes="controls"):
                prompt = prompt_row("generate", shelf, checkpoint)
                seed = seed_row("generate", self.last, value=examples.NEXT_SEED if made else 0)
                label, guidance = class_row("generate", shelf, checkpoint, prompt)
                count = count_row("generate")
                control = RunControl("Generate", "generate")
                with gr.Accordion("Advanced", open=False):
                    steps, sampler = sampling("generate", shelf.load(shelf.first).request(GenerateRequest))
                    by_classifier = classifier_row("generate", shelf, checkpoint)
                    negative = negative_row("generate", shelf, checkpoint)
        self.fields: dict[str, gr.components.Component] = {
            "seed": seed, "count": count, "steps": steps, "sampler": sampler, "label": label, "guidance": guidance,
            "classifier_guidance": by_classifier, "prompt": prompt, "negative_prompt": negative,
        }  # fmt: skip
        follow(checkpoint, shelf, GenerateRequest, self.fields)
        run = Run(
            self._run,
            [checkpoint, *self.fields.values()],
            self.shows,
            expects=lambda checkpoint, *values: self._request(values).model_calls,
            asks=lambda checkpoint, *values: ModelRequest(checkpoint, self._request(values)),
        )
        enlarge = Run(
            self._enlarge,
            [checkpoint, self.gallery, self.last],
            [self.gallery],
            expects=lambda checkpoint, gallery, last: self.enlarging.calls(checkpoint, _files(gallery), _seed(last)),
            button=self.enlarging.button,
        )
        control.wire(self.bar, run, enlarge)
        self.gallery.select(_index, outputs=self.chosen, **AT_ONCE)
        follow_choice(checkpoint, self._swap, [checkpoint, self.last, self.made_with.name], [*self.shows, self.bar])

    @property
    def shows(self) -> list[gr.components.Component]:
        """The components that pictures fill."""
        carries = [self.to_inpaint, self.to_edit, self.to_process]
        return [self.gallery, self.last, self.chosen, *self.made_with.parts, *carries]

    def _swap(self, checkpoint: str, last: GenerateRequest | None, made_with: str | None) -> Updates:
        others = exchange(
            self.shelf, checkpoint, Shown.of(last, last == self.example), self._made_earlier,
            lambda: self._show([], None, NOTHING),
        )  # fmt: skip
        return others or self.made_with.chosen(checkpoint, made_with)

    def _made_earlier(self) -> Updates:
        if self.example is None:
            return {}
        pictures = list(zip(map(copied, self.shipped), captions_of(self.example), strict=False))
        return self._show(pictures, self.example, _made_earlier(self.example))

    def _show(self, pictures: list[tuple[str, str]], made: GenerateRequest | None, message: str) -> Updates:
        stage = stage_of(len(pictures))
        return {
            self.gallery: gr.update(value=pictures, elem_classes=stage, selected_index=None),
            self.last: made,
            self.chosen: 0,
            self.bar: status(message),
            **self.made_with.now(None),
            **self._carries(bool(pictures)),
        }

    def _carries(self, there: bool) -> Updates:
        return dict.fromkeys([self.to_inpaint, self.to_edit, self.to_process], gr.update(interactive=there))

    def fill(self, request: GenerateRequest, model: LatentDiffusion) -> Updates:
        """Put a saved picture's settings into the controls."""
        message = f"Its settings are here; Generate makes it again.{left_out(self.fields, request, model)}"
        return {**filled(self.fields, request, model), self.bar: status(message)}

    def _request(self, values: Sequence[Any], model: LatentDiffusion | None = None) -> GenerateRequest:
        return build_request(GenerateRequest, model, **dict(zip(self.fields, values, strict=True)))

    def _run(self, checkpoint: str, *values: Any) -> Iterator[Updates]:
        model = self.shelf.load(checkpoint)
        request = self._request(values, model)
        captions, making = captions_of(request), generated(model, request)

        def on_stage(files: Iterable[str]) -> Updates:
            shown = list(zip(files, captions, strict=True))
            return {self.gallery: gr.update(value=shown, elem_classes=stage_of(len(shown)), selected_index=None)}

        def preview(step: Step) -> Updates:
            return on_stage(map(cached, making.previews(step)))

        def result(step: Step, folder: Path) -> Updates:
            files = save(model.pictures(step.latent), request, model, folder)
            own = {self.last: request, self.chosen: 0, **self.made_with.now(checkpoint), **self._carries(True)}
            return {**on_stage(files), **own}

        yield from run_with_previews(making.steps(), request.calls, self.bar, preview, result, making.budget)

    def _enlarge(
        self, checkpoint: str, gallery: list[tuple[str, str]] | None, last: GenerateRequest | None
    ) -> Iterator[Updates]:
        """The pictures that are shown, made larger, in their places."""
        files = _files(gallery)

        def in_place(larger: Iterable[str]) -> Updates:
            captions = [caption for _, caption in gallery or []]
            return {self.gallery: gr.update(value=list(zip(larger, captions, strict=True)), selected_index=None)}

        yield from self.enlarging.run(
            checkpoint, files, _seed(last), self.bar,
            lambda before, made: in_place(made),
            lambda results: in_place(copied(one.files[0]) for one in results),  # which go with their folders
        )  # fmt: skip


def picked(gallery: list[tuple[str, str]] | None, index: int) -> str:
    """File of the picture that the visitor picked. Raises `Problem` if there is none."""
    files = _files(gallery)
    return files[min(index, len(files) - 1)]


def _files(gallery: list[tuple[str, str]] | None) -> list[str]:
    if not gallery:
        raise Problem("There is no picture to work on yet; generate one first.")
    return [file for file, _ in gallery]


def _seed(made: GenerateRequest | None) -> int:
    return 0 if made is None else made.seed


def _made_earlier(request: GenerateRequest) -> str:
    return f"Made earlier, from seed {request.seed} on."


def captions_of(request: GenerateRequest) -> list[str]:
    """What stands under each picture of a batch."""
    shown = "" if request.label is None else f"{request.label}, "
    return [f"{shown}seed {one.seed}" for one in request.singles()]


def _index(event: gr.SelectData) -> int:
    return int(event.index)
