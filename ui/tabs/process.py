"""The Process tab: how a picture comes out of noise, frame by frame, and as a GIF or an MP4."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from ddpm_core.diffusion.samplers import Step
from ddpm_core.images.animation import MOST_FRAMES, evenly
from ddpm_core.requests import GenerateRequest, InpaintRequest, ProcessSettings
from ui import examples
from ui.components.animation_view import AnimationView
from ui.components.choice import follow_choice
from ui.components.class_picker import class_row, classifier_row
from ui.components.controls import follow, sampling, seed_row
from ui.components.events import AT_ONCE, PAGE_ONLY
from ui.components.made_earlier import MadeWith, Shown, exchange
from ui.components.progress import NOTHING, Updates, run_with_previews, status
from ui.components.prompt_box import negative_row, prompt_row
from ui.components.run_control import Run, RunControl
from ui.errors import as_warning, build_request
from ui.files import cached, copied, workspace
from ui.help import lead
from ui.models import Shelf, knows_faces
from ui.results import animate
from ui.run_inputs import RunInputs

STRIP = 8
LIMIT = 512  # longer side of a frame of an inpainting
LATENT, DENOISED = "sees", "believes"
USUAL, SIDES = ProcessSettings(), [128, 256, 512]
SPEEDS = [("slow", 2 * USUAL.seconds), ("normal", USUAL.seconds), ("fast", USUAL.seconds / 2)]
CARRIED = "Its settings are here; press Show the process."

# Scrubbing is the browser's own work: all frames are in two hidden galleries, and static/studio.js picks from them.
PICK = "(at, ...frames) => window.studio.frame(at, ...frames)"
STRIP_OF = f"(...frames) => window.studio.strip({STRIP}, ...frames)"

Frames = list[tuple[str, str | None]] | None  # what a gallery hands over: (file, caption)


class ProcessTab:
    """The tab's components and what its buttons do.

    Attributes:
        inputs: state, the `RunInputs` carried over from another tab; None for a plain seed.
        about: the line that says what is shown.
    """

    def __init__(self, shelf: Shelf, checkpoint: gr.Dropdown):
        """Build the tab inside the current layout."""
        self.shelf = shelf
        self.made, request = examples.frames(), examples.request_of(examples.faces())
        seed = request.seed if request else 0
        self.made_earlier = f"Seed {seed}, made earlier."
        made = self.made if knows_faces(shelf.load(shelf.first)) else []  # which is of a face
        pictures: Sequence[list[Image.Image]] = made or ([], [])
        latents, denoised = ([cached(frame) for frame in frames] for frames in pictures)
        self.inputs, self.last = gr.State(None), gr.State(None)
        lead("Process", "Every picture starts as noise. Drag the slider to walk from noise to picture.")
        with gr.Row(elem_classes="studio"):
            with gr.Column(scale=3, elem_classes="picture"):
                self.frame = gr.Image(
                    denoised[-1] if made else None, format="png", interactive=False, show_label=False,
                    buttons=["download", "fullscreen"], elem_id="process-frame", elem_classes="stage",
                )  # fmt: skip
                message = self.made_earlier if made else NOTHING
                self.bar = RunControl.place_bar("process", message)
                self.made_with = MadeWith("process-made-with")
                self.scrubber = gr.Slider(
                    1, max(2, len(latents)), max(1, len(latents)), step=1, label="Noise → picture",
                    elem_id="process-scrubber", buttons=[],
                )  # fmt: skip
                self.strip = gr.Gallery(
                    [denoised[i] for i in evenly(len(denoised), STRIP)], columns=STRIP, show_label=False,
                    allow_preview=False, format="png", interactive=False, buttons=[], elem_id="process-strip",
                    elem_classes="thumbs strip",
                )  # fmt: skip
                self.latents, self.denoised = (
                    gr.Gallery(frames, format="png", elem_classes="unseen", interactive=False, elem_id=f"process-{n}")
                    for n, frames in ((LATENT, latents), (DENOISED, denoised))
                )
            with gr.Column(scale=1, min_width=264, elem_classes="controls"):
                self.about = gr.HTML(_about(None), elem_id="process-about")
                self.plain = gr.Button("Back to a plain seed", size="sm", visible=False, elem_id="process-plain")
                self.prompt = prompt_row("process", shelf, checkpoint)
                self.seed = seed_row("process", self.last, value=seed)
                self.label, self.guidance = class_row("process", shelf, checkpoint, self.prompt)
                view = gr.Radio(
                    [("what the model sees", LATENT), ("what it believes", DENOISED)], value=USUAL.view, label="Show",
                    elem_id="process-view",
                )  # fmt: skip
                control = RunControl("Show the process", "process")
                with workspace() as folder:
                    gif = animate(pictures[1], folder, "made-earlier") if made else None
                    self.animation = AnimationView("process", gif)
                with gr.Accordion("Advanced", open=False):
                    side = gr.Radio(
                        SIDES, value=USUAL.size, label="Size of the GIF or MP4, pixels", elem_id="process-side"
                    )
                    speed = gr.Radio(SPEEDS, value=USUAL.seconds, label="Its speed", elem_id="process-speed")
                    self.steps, self.sampler = sampling("process", shelf.load(shelf.first).request(GenerateRequest))
                    self.by_classifier = classifier_row("process", shelf, checkpoint)
                    self.negative = negative_row("process", shelf, checkpoint)
        follow(checkpoint, shelf, GenerateRequest, {"steps": self.steps, "sampler": self.sampler}, self.inputs)
        frames = [view, self.latents, self.denoised]
        run = Run(
            self._run,
            [checkpoint, self.inputs, *self._values, view, side, speed, self.animation.format],
            [*self.shows, self.last],
            expects=self._calls,
        )
        control.wire(self.bar, run)
        follow_choice(
            checkpoint, self._swap, [checkpoint, self.last, self.denoised, self.made_with.name],
            [*self.shows, self.bar],
        )  # fmt: skip
        gr.on([view.change, self.denoised.change], None, frames, self.strip, js=STRIP_OF, **AT_ONCE)
        gr.on([view.change, self.scrubber.change], None, [self.scrubber, *frames], self.frame, js=PICK, **AT_ONCE)
        self.strip.select(_jump, self.denoised, self.scrubber, **AT_ONCE)
        gr.on(
            [view.change, side.change, speed.change, self.animation.format.change],
            as_warning(self._animate), [*frames, side, speed, self.animation.format],
            self.animation.parts, trigger_mode="always_last", **PAGE_ONLY,
        )  # fmt: skip
        self.plain.click(
            as_warning(partial(_plain, shelf)), checkpoint, [self.inputs, self.about, self.plain, self.steps],
            **PAGE_ONLY,
        )  # fmt: skip

    @property
    def shows(self) -> list[gr.components.Component]:
        """The components that frames fill."""
        frames = [self.frame, self.scrubber, self.latents, self.denoised]
        return [*frames, *self.animation.parts, *self.made_with.parts]

    def _swap(self, checkpoint: str, last: GenerateRequest | None, frames: Frames, made_with: str | None) -> Updates:
        made = Shown.MADE_EARLIER if frames else Shown.NOTHING
        others = exchange(
            self.shelf, checkpoint, made if last is None else Shown.OWN, self._made_earlier,
            lambda: self._show([], [], None, NOTHING),
        )  # fmt: skip
        return others or self.made_with.chosen(checkpoint, made_with)

    def _made_earlier(self) -> Updates:
        if not self.made:
            return {}
        with workspace() as folder:
            moving = copied(animate(self.made[1], folder, "made-earlier"))
        latents, denoised = (list(map(cached, frames)) for frames in self.made)
        return self._show(latents, denoised, moving, self.made_earlier)

    def _show(self, latents: list[str], denoised: list[str], moving: str | None, message: str) -> Updates:
        count = len(denoised)
        return {
            self.frame: denoised[-1] if denoised else None,
            self.scrubber: gr.update(maximum=max(2, count), value=max(1, count)),
            self.latents: latents,
            self.denoised: denoised,
            **self.animation.shows(moving),
            **self.made_with.now(None),
            self.bar: status(message),
        }

    @property
    def carried(self) -> list[gr.components.Component]:
        """The components `carry` fills."""
        return [self.inputs, self.about, self.plain, *self._values, self.bar]

    @property
    def _values(self) -> list[gr.components.Component]:
        values = [self.seed, self.steps, self.sampler, self.label, self.guidance, self.by_classifier]
        return [*values, self.prompt, self.negative]

    def carry(self, inputs: RunInputs | None) -> tuple[Any, ...]:
        """Fill the tab with a run of another tab."""
        if inputs is None:
            return tuple(gr.skip() for _ in self.carried)
        request, inpainting = inputs.request, isinstance(inputs.request, InpaintRequest)
        repeated = inputs if inpainting else None
        values = request.seed, request.steps, request.sampler, request.label or "", request.guidance
        more = request.classifier_guidance, request.prompt, request.negative_prompt
        return repeated, _about(repeated), gr.update(visible=inpainting), *values, *more, status(CARRIED)

    def _animate(
        self, view: str, latents: Frames, denoised: Frames, side: int, speed: float, format: str
    ) -> Iterator[Updates]:
        """The frames that are there already, as a moving picture."""
        yield {self.animation.group: gr.skip()}  # Gradio empties what a generator that yields nothing might have filled
        files = [file for file, _ in (latents if view == LATENT else denoised) or []]
        if files:
            with workspace() as folder:
                frames = [Image.open(file) for file in files]
                shown = build_request(ProcessSettings, size=side, seconds=speed, format=format)
                yield self.animation.shows(animate(frames, folder, "process", shown))

    def _calls(self, checkpoint: str, inputs: RunInputs | None, *values: Any) -> int:
        names = "seed", "steps", "sampler", "label", "guidance", "classifier_guidance", "prompt", "negative_prompt"
        given = dict(zip(names, values, strict=False))
        if inputs is None:
            return build_request(GenerateRequest, **given).model_calls
        return build_request(InpaintRequest, **inputs.request.model_dump() | {"count": 1} | given).model_calls

    def _run(
        self,
        checkpoint: str,
        inputs: RunInputs | None,
        seed: float,
        steps: float,
        sampler: str,
        label: str,
        guidance: float,
        by_classifier: float,
        prompt: str,
        negative_prompt: str,
        view: str,
        side: int,
        speed: float,
        format: str,
    ) -> Iterator[Updates]:
        values = {"seed": seed, "steps": steps, "sampler": sampler, "label": label, "guidance": guidance}
        values["classifier_guidance"] = by_classifier
        values |= {"prompt": prompt, "negative_prompt": negative_prompt}
        model = self.shelf.load(checkpoint)
        if inputs is None:
            inputs = RunInputs(build_request(GenerateRequest, model, **values))
        else:
            # Seed and steps may have been changed since; what is painted and how it is used may not.
            carried = inputs.request.model_dump() | {"count": 1} | values
            inputs = RunInputs(build_request(InpaintRequest, model, **carried), inputs.picture, inputs.painted)
        shown = build_request(ProcessSettings, view=view, size=side, seconds=speed, format=format)
        request = inputs.request
        run, paste = inputs.begin(model, LIMIT)
        shown_steps = set(evenly(request.calls, MOST_FRAMES))
        frames_by_name: dict[str, list[Image.Image]] = {LATENT: [], DENOISED: []}

        def recorded() -> Iterator[Step]:
            for i, step in enumerate(run):
                if i in shown_steps:
                    for name, latent in ((LATENT, step.latent), (DENOISED, step.denoised)):
                        frames_by_name[name].append(paste(model.pictures(latent)[0]))
                yield step

        def preview(step: Step) -> Updates:
            return {self.frame: cached(frames_by_name[view][-1])}

        def result(step: Step, folder: Path) -> Updates:
            files = {name: [cached(frame) for frame in frames] for name, frames in frames_by_name.items()}
            count = len(files[view])
            name = f"{model.stem}-seed-{request.seed}"
            moving = animate(frames_by_name[view], folder, name, shown)
            return {
                self.latents: files[LATENT],
                self.denoised: files[DENOISED],
                self.scrubber: gr.update(maximum=max(2, count), value=count),
                self.frame: files[view][-1],
                **self.animation.shows(moving),
                **self.made_with.now(checkpoint),
                self.last: request,
            }

        yield from run_with_previews(recorded(), request.calls, self.bar, preview, result)


def _jump(frames: Frames, event: gr.SelectData) -> int:
    return evenly(len(frames or []), STRIP)[int(event.index)] + 1


def _plain(shelf: Shelf, checkpoint: str) -> tuple[Any, ...]:
    """No inpainting any more, nor its fewer steps, each of which is taken several times."""
    own = shelf.load(checkpoint).request(GenerateRequest)
    return None, _about(None), gr.update(visible=False), own.steps


def _about(inputs: RunInputs | None) -> str:
    if inputs is None:
        return '<p class="hint">A new picture from its seed.</p>'
    return f'<p class="hint">The inpainting you just made, seed {inputs.request.seed}.</p>'
