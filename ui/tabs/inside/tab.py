"""The frame of the tab: the row that chooses a view, the picture views are about, and each view around its stage."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import gradio as gr
from gradio.events import Dependency

from ddpm_core.errors import UserError
from ddpm_core.inspection.subject import InsideRequest
from ddpm_core.pipeline import LatentDiffusion
from ui import examples
from ui.components.choice import follow_choice
from ui.components.controls import seed_row
from ui.components.events import AT_ONCE, ONE_AT_A_TIME, PAGE_ONLY
from ui.components.progress import Updates
from ui.errors import Problem, as_warning, build_request
from ui.files import opened_upload, workspace
from ui.help import lead
from ui.models import Shelf, knows_faces
from ui.serving.turns import in_turns
from ui.tabs.inside.tour import TOUR, Stop
from ui.tabs.inside.view import View, code_links, code_of, subject
from ui.tabs.inside.views import VIEWS

SKETCH_SECONDS = 0.3  # between two; each is to be seen, and costs a picture or three
SEED = InsideRequest.model_fields["seed"].default


class InsideTab:
    """The tab's components and what its controls do.

    Attributes:
        picture: state, the file that is looked into; None for the picture of the seed.
        wanted: state, which drawing is wanted.
        parts: the views on the page, by name.
    """

    def __init__(self, shelf: Shelf, checkpoint: gr.Dropdown, opened: gr.Tab):
        """Build the tab inside the current layout, which is that of `opened`."""
        self.shelf, self.checkpoint = shelf, checkpoint
        shipped = [str(path) for path in examples.faces()]
        self.picture = gr.State(shipped[0] if shipped else None)
        self.last, self.wanted = gr.State(None), gr.State(Wanted())
        lead("Look inside", "See why it works: drag, press, and the model answers.")
        stops = [stop for stop in TOUR if stop.view in VIEWS]
        with gr.Row(elem_classes="inside-tour"):
            asked = [gr.Button(stop.question, size="sm", elem_id=f"inside-tour-{stop.view}") for stop in stops]
        first = next(iter(VIEWS))
        self.chooser = gr.Radio(
            [(view.title, view.name) for view in VIEWS.values()], value=first, label="View", show_label=False,
            container=False, elem_id="inside-view", elem_classes="inside-chooser",
        )  # fmt: skip
        with gr.Row(elem_classes="inside-picture", equal_height=True) as self.about:
            made = examples.request_of(examples.faces()) if self._offers(shelf.first) else None
            # What is shown first is the shipped face, and the seed that it is of.
            self.seed = seed_row("inside", self.last, value=made.seed if made else SEED, label="Picture of seed")
            upload = gr.UploadButton(
                "Your own picture", file_types=["image"], size="sm", elem_id="inside-upload", scale=0
            )
            thumbs = gr.Gallery(
                shipped, columns=8, show_label=False, allow_preview=False, format="png", interactive=False,
                buttons=[], elem_id="inside-examples", elem_classes="thumbs", visible=self._offers(shelf.first),
            )  # fmt: skip
        follow_choice(checkpoint, lambda name: gr.update(visible=self._offers(name)), [checkpoint], [thumbs])
        chosen = [
            thumbs.select(_example, None, self.picture, **AT_ONCE),
            self.seed.change(lambda: None, None, self.picture, **AT_ONCE),  # who asks for a seed wants its picture
            upload.upload(as_warning(_own), upload, self.picture, **PAGE_ONLY),
        ]
        # Beside the view that it speaks of: on a phone two screens lie between the questions and what answers them.
        self.guide = gr.HTML("", visible=False, elem_id="inside-guide", elem_classes="inside-guide")
        self.parts = {view.name: ViewPart(view, view.name == first) for view in VIEWS.values()}
        self.chooser.change(_choose, self.chooser, [self.about, *self._columns], **AT_ONCE)
        # Whoever goes elsewhere has left the tour: what it says is about another view.
        self.chooser.input(lambda: gr.update(visible=False), None, self.guide, **AT_ONCE)
        for button, stop in zip(asked, stops, strict=True):
            controls = self.parts[stop.view].controls
            button.click(
                partial(_guided, stop),
                None,
                [self.chooser, self.guide, *(controls[name] for name in stop.sets)],
                **AT_ONCE,
            ).then(None, None, None, js="() => window.studio.show('#inside-guide h3')", **AT_ONCE)
        self._wire(opened, chosen)

    def _offers(self, checkpoint: str) -> bool:
        """Whether the shipped faces are for a checkpoint to look into."""
        return bool(examples.faces()) and knows_faces(self.shelf.load(checkpoint))

    def _wire(self, opened: gr.Tab, chosen: Sequence[Dependency]) -> None:
        """Draw the chosen view when what it is about changes, and when the tab is first opened."""
        about = [self.chooser, self.checkpoint, self.picture, self.seed]
        values = [control for part in self.parts.values() for control in part.controls.values()]
        shows = [each for part in self.parts.values() for each in (part.stage, part.download)]
        how: dict[str, Any] = {"trigger_mode": "always_last", **PAGE_ONLY, **ONE_AT_A_TIME}
        others = [self.chooser.change, self.checkpoint.change, self.seed.change]
        others += [part.controls[field].change for part in self.parts.values() for field in part.view.restarts]
        # A browser handles what listens to an event in the order in which it was wired, each to its end: so this comes
        # before the drawings that it ends.
        gr.on(others, lambda wanted: wanted.another(), self.wanted, None, **AT_ONCE)
        draw = as_warning(_while_wanted(self._draw))
        gr.on([opened.select, self.chooser.change], draw, [self.wanted, *about, *values], shows, **how)
        follow_choice(self.checkpoint, _while_wanted(self._draw), [self.wanted, *about, *values], shows)
        for picture in chosen:  # drawn once it is in its state, whose own change was not heard in a browser
            picture.then(draw, [self.wanted, *about, *values], shows, **how)
        for part in self.parts.values():
            if part.controls:
                own = list(part.controls.values())
                gr.on(
                    [event for one in own for event in _finished(one)],
                    as_warning(_while_wanted(partial(self._draw_one, part))),
                    [self.wanted, *about[1:], *own],
                    [part.stage, part.download],
                    **how,
                )
                part.stage.select(part.pressed, None, own, **AT_ONCE)

    def _draw(self, chosen: str, checkpoint: str, picture: str | None, seed: int, *values: Any) -> Iterator[Updates]:
        """The chosen view, given the controls of all of them."""
        left = iter(values)
        own = {name: [next(left) for _ in part.controls] for name, part in self.parts.items()}
        yield from self._draw_one(self.parts[chosen], checkpoint, picture, seed, *own[chosen])

    def _draw_one(
        self, part: ViewPart, checkpoint: str, picture: str | None, seed: int, *values: Any
    ) -> Iterator[Updates]:
        """First the drawing, then what can be downloaded: until that is there, nothing, rather than what was before."""
        none: Updates = {part.download: gr.update(interactive=False)}
        given = dict(zip(part.controls, values, strict=True))
        if part.view.of_a_picture:
            given["seed"] = seed
        try:
            request, model = build_request(part.view.request, **given), self.shelf.load(checkpoint)
            about = self._subject(part.view, model, picture, seed)
            if part.view.sketches is not None:
                for shown in _sketched(part.view.sketches(model, about, request)):
                    yield {part.stage: shown, **none}
            drawing = part.view.draw(model, about, request)
        except (Problem, UserError) as error:  # or what was drawn before would seem to be what is asked for now
            yield {part.stage: part.view.message(error.message if isinstance(error, Problem) else str(error)), **none}
            raise
        yield {part.stage: drawing.shown, **none}
        if drawing.empty:
            return
        with workspace() as folder:
            yield {part.download: gr.update(value=drawing.save(folder), interactive=True)}

    def _subject(self, view: View, model: LatentDiffusion, picture: str | None, seed: int) -> Any:
        """What is looked into. The shipped faces are for models that know faces; others show their seed's picture."""
        if not view.of_a_picture:
            return None
        shipped = {str(path) for path in examples.faces()}
        request = build_request(InsideRequest, seed=seed)
        return subject(model, None if picture in shipped and not knows_faces(model) else picture, request.seed)

    @property
    def _columns(self) -> list[gr.Column]:
        return [part.column for part in self.parts.values()]


class ViewPart:
    """A view on the page, hidden while another is looked at.

    Attributes:
        controls: by the request's field.
        stage: what it is drawn on.
    """

    def __init__(self, view: View, shown: bool):
        self.view = view
        name = f"inside-{view.name}"
        with gr.Column(visible=shown, elem_id=name, elem_classes="inside-column") as self.column:
            gr.HTML(f'<p class="lead">{view.sentence}</p>')
            with gr.Row(elem_classes="inside-controls"):
                plain = self._place(field for field in view.controls if field not in view.more)
            folded: dict[str, Any] = {}
            if view.more:
                with (
                    gr.Accordion("More to change", open=False, elem_classes="inside-more"),
                    gr.Row(elem_classes="inside-controls"),
                ):
                    folded = self._place(field for field in view.controls if field in view.more)
            self.controls = {field: (plain | folded)[field] for field in view.controls}
            self.stage = view.stage(f"{name}-stage")
            with gr.Row(elem_classes="actions"):
                self.download = gr.DownloadButton(
                    "Download", size="sm", elem_id=f"{name}-download", scale=0, interactive=False
                )
            gr.HTML(code_links(f"{name}-code", view.functions), elem_id=f"{name}-lines", elem_classes="inside-lines")
            with gr.Accordion("Formula and code", open=False, elem_id=f"{name}-code"):
                gr.Markdown(f"{view.formula}\n\n{code_of(view.functions)}", latex_delimiters=LATEX)

    def _place(self, fields: Iterable[str]) -> dict[str, Any]:
        view = self.view
        return {
            field: view.controls[field](f"inside-{view.name}-{field}", view.request.model_fields[field].default)
            for field in fields
        }

    def pressed(self, event: gr.EventData) -> list[Any]:
        """What was pressed on the stage sets controls; the request refuses values out of bounds."""
        given: Mapping[str, Any] = event._data or {}
        return [given.get(name, gr.skip()) for name in self.controls]


LATEX: list[dict[str, str | bool]] = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "$", "right": "$", "display": False},
]


def _finished(control: Any) -> list[Any]:
    """The events of a control after which a view is drawn: not every letter that is typed."""
    typed = isinstance(control, gr.Textbox) and "unseen" not in control.elem_classes
    return [control.submit, control.blur] if typed else [control.change]


class Wanted:
    """Which drawing somebody wants: the one that was asked for last."""

    def __init__(self) -> None:
        self.number = 0

    def another(self) -> None:
        """A drawing under way is wanted no more."""
        self.number += 1


def _while_wanted(draw: Callable[..., Iterator[Updates]]) -> Callable[..., Iterator[Updates]]:
    """A drawing that ends by itself when another is wanted; it is handed the session's `Wanted` first.

    Gradio's `cancels` is not enough: a browser puts off the next drawing until this one is over (`trigger_mode`), and
    after a cancellation never asks for it.
    """

    def drawn(wanted: Wanted, *given: Any) -> Iterator[Updates]:
        number = wanted.number
        for updates in draw(*given):
            if wanted.number != number:
                return
            yield updates
            if wanted.number != number:
                return

    return drawn


def _sketched(steps: Iterator[Callable[[], Any]]) -> Iterator[Any]:
    """What the stage shows during the work: the first sketch at once, others `SKETCH_SECONDS` apart at least."""
    shown = -math.inf
    for draw in in_turns(steps):
        if time.monotonic() - shown >= SKETCH_SECONDS:
            yield draw()
            shown = time.monotonic()


def _own(path: str) -> str:
    """An upload that can be looked into; after another, what was looked into before stays.

    Raises:
        PictureError: it is no picture.
    """
    opened_upload(path)
    return path


def _example(event: gr.SelectData) -> str:
    return str(examples.faces()[event.index])


def _choose(chosen: str) -> list[Any]:
    return [gr.update(visible=VIEWS[chosen].of_a_picture), *(gr.update(visible=name == chosen) for name in VIEWS)]


def _guided(stop: Stop) -> list[Any]:
    text = f"<h3>{stop.question}</h3><p>{stop.text}</p>"
    if stop in TOUR[:-1]:
        following = TOUR[TOUR.index(stop) + 1]
        text += f'<p>→ <a href="#inside-tour-{following.view}" data-press>{following.question}</a></p>'
    return [stop.view, gr.update(value=text, visible=True), *stop.sets.values()]
