"""The Play tab: the way from one seed to another, and pictures that are two things at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from ddpm_core.diffusion.samplers import Step
from ddpm_core.errors import lookup
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import MAX_STRIP, AnagramRequest, BetweenRequest, GenerateRequest, HybridRequest
from ui import examples
from ui.components.animation_view import AnimationView
from ui.components.choice import follow_choice
from ui.components.class_picker import class_rows
from ui.components.controls import sampling, seed_row, stage_of
from ui.components.events import AT_ONCE, PAGE_ONLY
from ui.components.made_earlier import Shown, exchange
from ui.components.menus import Menu, Options
from ui.components.progress import NOTHING, Updates, run_with_previews, status
from ui.components.prompt_box import negative_row, prompt_row
from ui.components.run_control import Run, RunControl
from ui.errors import as_warning, build_request, without_warning
from ui.files import cached, copied, workspace
from ui.help import lead
from ui.models import Shelf, knows_faces
from ui.play_modes import (
    FIRST,
    MODES,
    SEEDS,
    Control,
    PlayMode,
    available_modes,
    available_views,
    opening_classes,
    playable,
    positions,
)
from ui.results import save, there_and_back
from ui.saved_settings import filled, left_out

PAIRS = 4  # most anagrams at once: each takes twice the time of a picture, and twice the room
VIEW = AnagramRequest.model_fields["view"].default


class PlayTab:
    """The tab's components and what its button does."""

    def __init__(self, shelf: Shelf, checkpoint: gr.Dropdown):
        """Build the tab inside the current layout."""
        self.shelf = shelf
        self.made, self.example = examples.between()
        made, request = (self.made, self.example) if knows_faces(shelf.load(shelf.first)) else ([], None)
        shown = list(zip(map(cached, made), positions(request), strict=False)) if request else []
        start = self.example or BetweenRequest()
        self.last, self.filled = gr.State(request), gr.State(None)
        lead("Play", "Walk through the noise between two pictures, or fit two into one.")
        with gr.Row(elem_classes="studio"):
            with gr.Column(scale=3, elem_classes="picture"):
                self.gallery = gr.Gallery(
                    shown, show_label=False, format="png", interactive=False, object_fit="contain",
                    buttons=["download", "fullscreen"], elem_id="play-gallery", elem_classes=stage_of(len(shown)),
                )  # fmt: skip
                self.bar = RunControl.place_bar("play", _made_earlier(start) if shown else NOTHING)
            with gr.Column(scale=1, min_width=264, elem_classes="controls"):
                self._place_controls(start, checkpoint)
                control = RunControl("Make", "play")
                with workspace() as folder:
                    self.animation = AnimationView("play", there_and_back(made, folder, start) if shown else None)
                with gr.Accordion("Advanced", open=False):
                    blur = gr.Slider(
                        0.5, 8, HybridRequest.model_fields["blur"].default, step=0.1, label="Far away, pixels",
                        elem_id="play-blur", buttons=[], visible=False, info="What this blur leaves is seen from afar.",
                    )  # fmt: skip
                    steps, sampler = sampling("play", self.shelf.load(self.shelf.first).request(MODES[FIRST].kind))
                    negative = negative_row("play", self.shelf, checkpoint)
        self.fields: dict[str, gr.components.Component] = {
            "seed": self.seed, "to": self.to, "strip": self.strip, "label": self.label, "other": self.other,
            "guidance": self.guidance, "view": self.view, "pairs": self.pairs, "blur": blur, "steps": steps,
            "sampler": sampler, "prompt": self.prompt, "other_prompt": self.other_prompt, "negative_prompt": negative,
        }  # fmt: skip
        run = Run(
            self._run,
            [checkpoint, self.mode, self.animation.format, self.last, *self.fields.values()],
            [self.gallery, *self.animation.parts, self.last],
            expects=lambda checkpoint, key, format, last, *values: self._request(key, values).model_calls,
        )
        control.wire(self.bar, run)
        self.animation.format.change(
            as_warning(self._animate),
            [self.animation.format, self.gallery, self.last],
            self.animation.parts,
            **PAGE_ONLY,
        )
        optional: dict[Control, gr.blocks.Block] = {
            "way": self.way, "second": self.second, "second_prompt": self.second_prompt, "turn": self.turn,
            "several": self.several, "blur": blur,
        }  # fmt: skip
        changed = [self.description, self.label, self.other, self.seed, steps, sampler, *optional.values(), self.filled]
        gr.on(
            [self.mode.change, checkpoint.input],
            without_warning(partial(_mode_changed, self.shelf, tuple(optional))),
            [checkpoint, self.mode, self.filled, self.seed, self.label, self.other],
            changed,
            **AT_ONCE,
        )
        follow_choice(checkpoint, self._offer, [checkpoint, self.mode, self.view], [self.mode, self.view])
        follow_choice(
            checkpoint, self._swap, [checkpoint, self.last],
            [self.gallery, *self.animation.parts, self.last, self.bar],
        )  # fmt: skip

    def _swap(self, checkpoint: str, last: GenerateRequest | None) -> Updates:
        return exchange(
            self.shelf, checkpoint, Shown.of(last, last == self.example), self._made_earlier,
            lambda: {**self._nothing(), self.last: None, self.bar: status(NOTHING)},
        )  # fmt: skip

    def _made_earlier(self) -> Updates:
        if self.example is None:
            return {}
        with workspace() as folder:
            moving = copied(there_and_back(self.made, folder, self.example))
        return {
            self.gallery: _on_stage(list(map(cached, self.made)), positions(self.example)),
            **self.animation.shows(moving),
            self.last: self.example,
            self.bar: status(_made_earlier(self.example)),
        }

    def _nothing(self) -> Updates:
        return {self.gallery: _on_stage([], []), **self.animation.shows(None)}

    def _place_controls(self, start: BetweenRequest, checkpoint: gr.Dropdown) -> None:
        model = self.shelf.load(self.shelf.first)
        self.mode = Options(available_modes(model), value=FIRST, label="Play", elem_id="play-game")
        self.description = gr.HTML(_description(FIRST), elem_id="play-description")
        self.prompt = prompt_row("play", self.shelf, checkpoint)
        with gr.Column(elem_classes="part", visible=False) as self.second_prompt:
            self.other_prompt = prompt_row("play", self.shelf, checkpoint, "other-prompt", "Second prompt")
        self.seed = seed_row("play", self.last, value=start.seed)
        with gr.Column(elem_classes="part") as self.way:
            self.to = seed_row("play-to", self.last, value=start.to, label="To seed", field="to")
            self.strip = gr.Slider(
                2, MAX_STRIP, start.count, step=1, label="Pictures on the way", elem_id="play-strip", buttons=[]
            )
        self.label, self.second, self.other, self.guidance = class_rows("play", self.shelf, checkpoint, self.prompt)
        with gr.Column(elem_classes="part", visible=False) as self.turn:
            self.view = Menu(
                available_views(model), value=VIEW, label="What the other way is",
                elem_id="play-view", filterable=False,
            )  # fmt: skip
        with gr.Column(elem_classes="part", visible=False) as self.several:
            self.pairs = gr.Slider(1, PAIRS, 1, step=1, label="Pictures", elem_id="play-pairs", buttons=[])

    def _offer(self, checkpoint: str, mode: str, view: str) -> tuple[Any, Any]:
        """What a checkpoint can play, and in which views; what was chosen stays if it is among that."""
        model = self.shelf.load(checkpoint)
        offered = (
            (available_modes(model), mode, FIRST),
            (available_views(model), view, VIEW),
        )
        modes, views = (
            gr.update(choices=choices, value=chosen if chosen in dict(choices).values() else first)
            for choices, chosen, first in offered
        )
        return modes, views

    def _animate(
        self, format: str, gallery: list[tuple[str, str]] | None, request: GenerateRequest | None
    ) -> Iterator[Updates]:
        """What was made last, as a moving picture in the other format."""
        yield {self.animation.group: gr.skip()}  # Gradio empties what a generator that yields nothing might have filled
        if gallery and isinstance(request, BetweenRequest):
            with workspace() as folder:
                made = [Image.open(file) for file, _ in gallery]
                yield self.animation.shows(there_and_back(made, folder, request, format))

    def fill(self, request: GenerateRequest, model: LatentDiffusion) -> Updates:
        """Put a saved picture's settings into the controls."""
        fields = self.fields
        updates = filled({name: each for name, each in fields.items() if name != "view"}, request, model)
        updates[self.mode] = gr.update(choices=available_modes(model), value=request.action)
        updates[self.view] = gr.update(choices=available_views(model), value=getattr(request, "view", VIEW))
        message = f"Its settings are here; Make makes it again.{left_out(fields, request, model)}"
        return {**updates, self.filled: request, self.bar: status(message)}

    def _request(self, key: str, values: Sequence[Any], model: LatentDiffusion | None = None) -> GenerateRequest:
        mode, fields = lookup(MODES, "game", key), dict(zip(self.fields, values, strict=True))
        given = {name: value for name, value in fields.items() if name in mode.kind.model_fields}
        return build_request(mode.kind, model, **given, count=fields[mode.count])

    def _run(
        self, checkpoint: str, key: str, format: str, last: GenerateRequest | None, *values: Any
    ) -> Iterator[Updates]:
        mode, model = lookup(MODES, "game", key), self.shelf.load(checkpoint)
        request = self._request(key, values, model)
        steps, captions = mode.begin(model, request), mode.captions(request)
        if last is not None and last.action != request.action:
            yield self._nothing()  # what another mode made

        def preview(step: Step) -> Updates:
            made = model.pictures(step.denoised)
            shown = [cached(picture) for picture in [*made, *_other(mode, request, made)]]
            return {self.gallery: _on_stage(shown, captions)}

        def result(step: Step, folder: Path) -> Updates:
            made = model.pictures(step.latent)
            files = save(made, request, model, folder)
            if other := _other(mode, request, made):
                files += save(other, request, model, folder, prefix=f"{mode.file_suffix(request)}-")
            moving = there_and_back(made, folder, request, format) if isinstance(request, BetweenRequest) else None
            return {
                self.gallery: _on_stage(files, captions),
                **self.animation.shows(moving),
                self.last: request,
            }

        yield from run_with_previews(steps, request.calls, self.bar, preview, result)


def _made_earlier(request: BetweenRequest) -> str:
    return f"Made earlier, from seed {request.seed} to seed {request.to}."


def _other(mode: PlayMode, request: GenerateRequest, made: Sequence[Image.Image]) -> list[Image.Image]:
    return [mode.other(request, picture) for picture in made] if mode.other else []


def _on_stage(files: Sequence[str], captions: Sequence[str]) -> Any:
    shown = list(zip(files, captions, strict=True))
    return gr.update(value=shown, elem_classes=stage_of(len(shown)), selected_index=None)


def _mode_changed(
    shelf: Shelf,
    optional: Sequence[Control],
    checkpoint: str,
    key: str,
    filled: GenerateRequest | None = None,
    seed: float | None = None,
    label: str | None = None,
    other: str | None = None,
) -> tuple[Any, ...]:
    """What changes with the mode: its line, its class pickers, seed, steps and sampler, which controls show.

    Steps and sampler are the checkpoint's, or those of a request just `filled` in from a saved picture. Seed and
    classes are the mode's where they were another mode's; those that were chosen stay.
    """
    model = shelf.load(checkpoint)
    mode = MODES[key := playable(key, model)]
    is_filled = isinstance(filled, mode.kind)
    first, *second = mode.classes
    names: list[dict[str, Any]] = [{"label": first}, {"label": second[0]} if second else {}]
    if not is_filled and (classes := opening_classes(model, key, label, other)):
        names = [name | {"value": value} for name, value in zip(names, classes, strict=True)]
    pickers = (gr.update(**name) if name else gr.skip() for name in names)
    request = filled if is_filled and filled else model.request(mode.kind)
    opens = None
    if seed in SEEDS.values() and not is_filled:  # nobody chose it
        opens = SEEDS.get(key) if model.framing == "face" or key == "hybrid" else SEEDS[FIRST]
    shown = (gr.update(visible=control in mode.controls) for control in optional)
    own = gr.skip() if opens is None else opens
    return _description(key), *pickers, own, request.steps, request.sampler, *shown, None


def _description(key: str) -> str:
    return f'<p class="hint">{MODES[key].description}</p>'
