"""What a view of the tab is: a sentence, controls made from its request, what is drawn, and its sources."""

from __future__ import annotations

import html
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, get_args

import gradio as gr
from gradio.components import Component
from PIL import Image

from ddpm_core.inspection.beliefs import OWN
from ddpm_core.inspection.subject import Subject, subject_of_file, subject_of_seed
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import Request
from ui import site
from ui.components.controls import SAMPLERS
from ui.files import written
from ui.theme import STATIC

ROOT = Path(__file__).resolve().parents[3]
MakeControl = Callable[[str, Any], Component]  # make(elem_id, default)
NAMES = {OWN: "the checkpoint's own", **SAMPLERS}
WAITING = "The model is asked; its first answer takes seconds, the next ones less than one."


def message(sentence: str) -> str:
    """A stage with nothing but a sentence: why one waits, or why nothing could be drawn."""
    return f'<p class="hint message">{html.escape(sentence)}</p>'


@dataclass(frozen=True)
class Drawing:
    """What a view answers.

    Attributes:
        shown: value of the view's stage.
        numbers: those shown, by name, for programs: only what JSON can say.
        save: writes what can be taken away into a folder; its path.
        empty: whether there is nothing to take away yet, and `save` refuses.
    """

    shown: Any
    numbers: Mapping[str, Any]
    save: Callable[[Path], str]
    empty: bool = False


@dataclass(frozen=True)
class View:
    """A view of the tab. A new one is a module that makes one of these, and its line in `views.VIEWS`.

    Attributes:
        name: in ids, and in the endpoint, /inside_NAME.
        sentence: what one sees, in one sentence.
        request: what may be asked; of a view about a picture an `InsideRequest`, whose seed all views share.
        draw: answers a request; the subject is None for a view about no picture.
        controls: make the controls of fields, given an id and the default; fields without one are for programs alone.
        formula: with its source, in Markdown.
        functions: what computes it; their source code is shown.
        more: fields whose controls stand in a fold.
        sketches: does the work, of seconds, that `draw` then finds done; calls of what it yields make the stage
            meanwhile.
        restarts: fields whose change gives up a drawing under way.
        stage: makes what it is drawn on, given an id; its event `select` may name new values of controls.
        message: the value of the stage that says one sentence.
    """

    name: str
    title: str
    sentence: str
    request: type[Request]
    draw: Callable[[LatentDiffusion, Subject, Any], Drawing]
    controls: Mapping[str, MakeControl]
    formula: str
    functions: tuple[Callable[..., Any], ...]
    more: frozenset[str] = frozenset()
    of_a_picture: bool = True
    sketches: Callable[[LatentDiffusion, Subject, Any], Iterator[Callable[[], Any]]] | None = None
    restarts: frozenset[str] = frozenset()
    stage: Callable[[str], gr.HTML] = field(default=lambda elem_id: html_stage(elem_id))
    message: Callable[[str], Any] = message


PRESSED = (STATIC / "pressed.js").read_text(encoding="utf-8")  # what bears data-set='{"field": value}' sets controls


def html_stage(elem_id: str) -> gr.HTML:
    """A stage for HTML: figures and charts."""
    return gr.HTML(
        message(WAITING), elem_id=elem_id, elem_classes="inside-stage", js_on_load=PRESSED, apply_default_css=False
    )


def slider(label: str, low: float, high: float, step: float = 1, info: str | None = None) -> MakeControl:
    """The control of a number, for `View.controls`."""
    return lambda elem_id, default: gr.Slider(
        low, high, default, step=step, label=label, info=info, elem_id=elem_id, buttons=[]
    )


def choice(label: str, choices: Sequence[tuple[str, Any]], info: str | None = None) -> MakeControl:
    """The control of one of a few, (what it is called, value) each."""
    return lambda elem_id, default: gr.Radio(list(choices), value=default, label=label, info=info, elem_id=elem_id)


def menu(label: str, choices: Sequence[tuple[str, Any]]) -> MakeControl:
    """The control of one of many, as `choice` of few."""
    return lambda elem_id, default: gr.Dropdown(
        list(choices), value=default, label=label, elem_id=elem_id, filterable=False
    )


def sampler_menu(request: type[Request]) -> MakeControl:
    """The control of the samplers that a request knows."""
    known = get_args(request.model_fields["sampler"].annotation)
    return menu("Sampler", [(NAMES.get(name, name), name) for name in known])


def switch(label: str) -> MakeControl:
    """The control of what is on or off."""
    return lambda elem_id, default: gr.Checkbox(default, label=label, elem_id=elem_id)


def unseen() -> MakeControl:
    """A control that only the stage sets."""
    return lambda elem_id, default: gr.Textbox(default, label=elem_id, elem_id=elem_id, elem_classes="unseen")


def number(label: str, low: float, high: float) -> MakeControl:
    """The control of a number too wide for a slider."""
    return lambda elem_id, default: gr.Number(
        default, minimum=low, maximum=high, step=1, precision=0, label=label, elem_id=elem_id
    )


def png(picture: Callable[[], Image.Image], name: str) -> Callable[[Path], str]:
    """What saves a picture, which is made only then."""
    return lambda folder: written(picture(), folder, name)


def subject(model: LatentDiffusion, picture: str | None, seed: int) -> Subject:
    """What is looked into: the picture in a file, or, without one, that of a seed."""
    return subject_of_seed(model, seed) if picture is None else subject_of_file(model, picture)


def code_links(fold: str, functions: tuple[Callable[..., Any], ...]) -> str:
    """Links to the lines of functions in the fold of that id, which shows `code_of` them; studio.js opens it there.

    They need neither the documentation's site nor a network: what is shown is the source that runs.
    """
    links = (
        f'<a href="#{fold}" data-code="{number}" title="{html.escape(one.place)}, lines {one.first} to {one.last}">'
        f"{html.escape(one.name)}</a>"
        for number, one in enumerate(map(source_of, functions))
    )
    return f'<p class="hint">Lines of code: {", ".join(links)}</p>'


def code_of(functions: tuple[Callable[..., Any], ...]) -> str:
    """Where functions stand and their source code, in Markdown, linked to the documentation's site if it is there."""
    parts = []
    for one in map(source_of, functions):
        address = site.address_of(f"{one.place}#{one.module}.{one.name}")
        place = f"[`{one.place}`]({address})" if address else f"`{one.place}`"
        parts.append(f"{place}, lines {one.first} to {one.last}:\n\n```python\n{one.text}\n```")
    return "\n\n".join(parts)


class SourceCode(NamedTuple):
    """Where a function stands.

    Attributes:
        name, module: its own, with its class, and its module's.
        place: the file, from the folder that the packages are in.
        first, last: lines, counted from 1.
        text: those lines.
    """

    name: str
    module: str
    place: str
    first: int
    last: int
    text: str


def source_of(function: Callable[..., Any]) -> SourceCode:
    """The lines of a function; of one whose answers are kept, not those of what keeps them."""
    plain = inspect.unwrap(function)
    lines, first = inspect.getsourcelines(plain)
    path = Path(inspect.getfile(plain)).resolve()
    place = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
    text = textwrap.dedent("".join(lines)).rstrip()
    return SourceCode(plain.__qualname__, plain.__module__, place, first, first + len(lines) - 1, text)
