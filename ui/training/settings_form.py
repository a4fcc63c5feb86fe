"""The Train tab's Advanced fold, made from the models of training settings: a field added there is a control here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import gradio as gr
from pydantic.fields import FieldInfo

from ddpm_core.cli import bounds, plain
from ddpm_core.training.settings import GROUPS, TrainRequest
from ui.training.order import Order

# Where pictures come from and go to has controls of its own; the machine is the app's.
NOT_ON_PAGE = {"data", "out", "resume", "device", "threads"}
INIT = "init"  # a checkpoint of the shelf; on the page nobody names folders of the machine

Form = dict[str, gr.components.Component]  # by the field's place in a `TrainRequest`, "denoiser.mixer"


def place_settings(checkpoints: Sequence[str], preset: str) -> Form:
    """Place a control for every setting here, in folds; all start empty.

    Args:
        checkpoints: names of those that can be started from.
        preset: whose values stand where nothing is asked for.
    """
    resolved = Order(preset=preset).request(Path("out"))
    form: Form = {}
    with gr.Column(elem_classes="folds"):
        for group, places in GROUPS.items():
            with gr.Accordion(group, open=False):
                form |= {
                    place: _control(place, _field(place), resolved, checkpoints)
                    for place in places
                    if place not in NOT_ON_PAGE
                }
    return form


def preset_values(form: Form, preset: str, start: Path | None) -> list[Any]:
    """Updates of the form's controls, in order, for the preset and the checkpoint to start from."""
    resolved = Order(preset=preset, settings={INIT: str(start)} if start else {}).request(Path("out"))
    return [
        gr.skip() if place == INIT
        else gr.update(choices=_choices(_field(place), _value(resolved, place))) if isinstance(control, gr.Dropdown)
        else gr.update(placeholder=_shown(_value(resolved, place)))
        for place, control in form.items()
    ]  # fmt: skip


def _field(place: str) -> FieldInfo:
    *sections, name = place.split(".")
    model: Any = TrainRequest
    for section in sections:
        model = model.model_fields[section].annotation
    return model.model_fields[name]


def _value(resolved: TrainRequest, place: str) -> Any:
    value: Any = resolved
    for name in place.split("."):
        value = getattr(value, name)
    return value


def _shown(value: Any) -> str:
    return "" if value is None else plain(value)


def _control(place: str, field: FieldInfo, resolved: TrainRequest, checkpoints: Sequence[str]) -> Any:
    name = place.rsplit(".", 1)[-1]
    options: dict[str, Any] = {
        "label": field.title or name.replace("_", " ").capitalize(),
        "info": _in_words(field),
        "elem_id": f"train-{place.replace('.', '-').replace('_', '-')}",
    }
    if place == INIT:
        return gr.Dropdown(starts(checkpoints), value="", filterable=False, **options)
    value = _value(resolved, place)
    if choices := _choices(field, value):
        return gr.Dropdown(choices, value="", filterable=False, **options)
    # A box for text, since those for numbers cannot be left empty: they turn into 0.
    return gr.Textbox(placeholder=_shown(value), max_length=200, max_lines=1, **options)


def starts(checkpoints: Sequence[str]) -> list[tuple[str, str]]:
    """The checkpoints that can be started from, as a dropdown wants them."""
    return [("nothing", ""), *((name, name) for name in checkpoints)]


def _choices(field: FieldInfo, value: Any) -> list[tuple[str, str]]:
    """What there is to choose, leaving it as it is first; nothing where anything may be typed."""
    if field.annotation is bool:
        return [(f"as it is: {'yes' if value else 'no'}", ""), ("yes", "true"), ("no", "false")]
    if get_origin(field.annotation) is Literal:
        return [(f"as it is: {value}", ""), *((str(one), str(one)) for one in get_args(field.annotation))]
    return []


def _in_words(field: FieldInfo) -> str:
    about, words = field.description or "", bounds(field)
    return about[:1].upper() + about[1:] + (f" ({words})" if words else "")
