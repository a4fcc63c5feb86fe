"""The class picker and its guidance, shown if, and only if, the chosen checkpoint has classes."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ddpm_core.schema import GenerateRequest
from ui.errors import gentle
from ui.live import ONE_AT_A_TIME, PAGE_ONLY
from ui.models import Shelf

ANY = ("any", "")


def class_row(name: str, shelf: Shelf, checkpoint: gr.Dropdown) -> tuple[gr.Dropdown, gr.Slider]:
    """Which class to make, and how closely to follow it; both change with the chosen checkpoint."""
    classes = shelf.load(shelf.first).classes
    label = gr.Dropdown(
        _choices(classes), value="", label="Class", elem_id=f"{name}-class", visible=bool(classes), filterable=True,
    )  # fmt: skip
    guidance = gr.Slider(
        0, 8, GenerateRequest.model_fields["guidance"].default, step=0.1, label="Guidance", buttons=[],
        elem_id=f"{name}-guidance", visible=bool(classes), info="How closely the class is followed.",
    )  # fmt: skip

    def offer(chosen: str) -> tuple[Any, Any]:
        known = shelf.load(chosen).classes
        shown = bool(known)
        return gr.update(choices=_choices(known), value="", visible=shown), gr.update(visible=shown)

    checkpoint.change(gentle(offer), checkpoint, [label, guidance], **PAGE_ONLY, **ONE_AT_A_TIME)
    return label, guidance


def _choices(classes: tuple[str, ...]) -> list[tuple[str, str]]:
    return [ANY, *((name, name) for name in classes)]
