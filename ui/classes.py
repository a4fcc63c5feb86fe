"""The class picker and its guidance, shown if, and only if, the chosen checkpoint has classes.

One that always wants a class offers no "any", and, since it cannot be guided, no guidance.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.schema import GenerateRequest
from ui.errors import gentle
from ui.live import ONE_AT_A_TIME, PAGE_ONLY
from ui.models import Shelf

ANY = ("any", "")


def class_row(name: str, shelf: Shelf, checkpoint: gr.Dropdown) -> tuple[gr.Dropdown, gr.Slider]:
    """Which class to make, and how closely to follow it; both change with the chosen checkpoint."""
    picked, followed = _offered(shelf.load(shelf.first))
    label = gr.Dropdown(**picked, label="Class", elem_id=f"{name}-class", filterable=True)
    guidance = gr.Slider(
        0, 8, **followed, step=0.1, label="Guidance", buttons=[], elem_id=f"{name}-guidance",
        info="How closely the class is followed.",
    )  # fmt: skip

    def offer(chosen: str) -> tuple[Any, ...]:
        return tuple(gr.update(**offered) for offered in _offered(shelf.load(chosen)))

    checkpoint.change(gentle(offer), checkpoint, [label, guidance], **PAGE_ONLY, **ONE_AT_A_TIME)
    return label, guidance


def _offered(model: LatentDiffusion) -> tuple[dict[str, Any], dict[str, Any]]:
    choices = [ANY] * model.unconditional + [(name, name) for name in model.classes]
    guidance = GenerateRequest.model_fields["guidance"].default if model.unconditional else 1
    return (
        {"choices": choices, "value": choices[0][1], "visible": bool(model.classes)},
        {"value": guidance, "visible": bool(model.classes) and model.unconditional},
    )
