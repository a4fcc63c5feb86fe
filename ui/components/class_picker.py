"""The class picker and its guidance, shown if, and only if, the chosen checkpoint has classes.

One that always wants a class offers no "any", and, since it cannot be guided, no guidance.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest
from ui.components.events import ONE_AT_A_TIME, PAGE_ONLY
from ui.errors import gentle
from ui.models import Shelf

ANY = ("any", "")


def class_row(name: str, shelf: Shelf, checkpoint: gr.Dropdown) -> tuple[gr.Dropdown, gr.Slider]:
    """Which class to make, and how closely to follow it; both change with the chosen checkpoint."""
    label = _picker(name, "class", shelf)
    guidance = _guidance(name, shelf)
    _change_with(checkpoint, shelf, [label, guidance])
    return label, guidance


def class_rows(
    name: str, shelf: Shelf, checkpoint: gr.Dropdown
) -> tuple[gr.Dropdown, gr.Column, gr.Dropdown, gr.Slider]:
    """Two classes side by side and how closely to follow them; the second stands in a column that can be hidden."""
    with gr.Row(elem_classes="class-row"):
        label = _picker(name, "class", shelf)
        with gr.Column(visible=False, min_width=96) as second:
            other = _picker(name, "other-class", shelf)
    guidance = _guidance(name, shelf)
    _change_with(checkpoint, shelf, [label, guidance, other])
    return label, second, other, guidance


def _picker(name: str, part: str, shelf: Shelf) -> gr.Dropdown:
    picked, _ = _offered(shelf.load(shelf.first))
    return gr.Dropdown(**picked, label="Class", elem_id=f"{name}-{part}", filterable=True, min_width=96)


def _guidance(name: str, shelf: Shelf) -> gr.Slider:
    _, followed = _offered(shelf.load(shelf.first))
    return gr.Slider(
        0, 8, **followed, step=0.1, label="Guidance", buttons=[], elem_id=f"{name}-guidance",
        info="How closely the class is followed.",
    )  # fmt: skip


def _change_with(checkpoint: gr.Dropdown, shelf: Shelf, parts: list[gr.components.Component]) -> None:
    def offer(chosen: str) -> list[Any]:
        picked, followed = _offered(shelf.load(chosen))
        return [gr.update(**(followed if isinstance(part, gr.Slider) else picked)) for part in parts]

    checkpoint.change(gentle(offer), checkpoint, parts, **PAGE_ONLY, **ONE_AT_A_TIME)


def _offered(model: LatentDiffusion) -> tuple[dict[str, Any], dict[str, Any]]:
    choices = [ANY] * model.unconditional + [(name, name) for name in model.classes]
    guidance = GenerateRequest.model_fields["guidance"].default if model.unconditional else 1
    return (
        {"choices": choices, "value": choices[0][1], "visible": bool(model.classes)},
        {"value": guidance, "visible": bool(model.classes) and model.unconditional},
    )
