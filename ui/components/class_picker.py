"""The class picker, for checkpoints with classes, and guidance to a class or a prompt.

A checkpoint that always wants a class offers no "any" and no guidance.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest
from ui.components.choice import follow_choice
from ui.components.menus import Menu
from ui.models import Shelf

ANY = ("any", "")


def class_row(name: str, shelf: Shelf, checkpoint: gr.Dropdown, prompt: gr.Textbox) -> tuple[gr.Dropdown, gr.Slider]:
    """Which class to make, and how closely to follow it and the `prompt`."""
    label = _picker(name, "class", shelf)
    guidance = _guidance(name, shelf)
    _change_with(checkpoint, shelf, prompt, [label, guidance])
    return label, guidance


def class_rows(
    name: str, shelf: Shelf, checkpoint: gr.Dropdown, prompt: gr.Textbox
) -> tuple[gr.Dropdown, gr.Column, gr.Dropdown, gr.Slider]:
    """Two classes side by side and the guidance; the second stands in a column that can be hidden."""
    with gr.Row(elem_classes="class-row"):
        label = _picker(name, "class", shelf)
        with gr.Column(visible=False, min_width=96) as second:
            other = _picker(name, "other-class", shelf)
    guidance = _guidance(name, shelf)
    _change_with(checkpoint, shelf, prompt, [label, guidance, other])
    return label, second, other, guidance


def classifier_row(name: str, shelf: Shelf, checkpoint: gr.Dropdown) -> gr.Slider:
    """How far a classifier steers to the class, for checkpoints that have one."""
    offered = offered_classifier(shelf.load(shelf.first))
    slider = gr.Slider(
        0, 8, **offered, step=0.1, label="Classifier guidance", buttons=[],
        elem_id=f"{name}-classifier-guidance", info="How far a classifier of noisy pictures steers to the class.",
    )  # fmt: skip

    def offer(chosen: str, value: float) -> dict[str, Any]:
        now = offered_classifier(shelf.load(chosen))
        return gr.update(**now | ({"value": value} if now["visible"] else {}))

    follow_choice(checkpoint, offer, [checkpoint, slider], [slider])
    return slider


def offered_classifier(model: LatentDiffusion) -> dict[str, Any]:
    """The classifier guidance for a model, before anything is chosen."""
    return {
        "value": model.request(GenerateRequest).classifier_guidance,
        "visible": bool(model.classes) and model.classifier is not None,
    }


def _picker(name: str, field: str, shelf: Shelf) -> gr.Dropdown:
    picked, _ = offered_classes(shelf.load(shelf.first))
    return Menu(**picked, label="Class", elem_id=f"{name}-{field}", filterable=True, min_width=96)


def _guidance(name: str, shelf: Shelf) -> gr.Slider:
    _, followed = offered_classes(shelf.load(shelf.first))
    return gr.Slider(
        0, 8, **followed, step=0.1, label="Guidance", buttons=[], elem_id=f"{name}-guidance",
    )  # fmt: skip


def _change_with(
    checkpoint: gr.Dropdown, shelf: Shelf, prompt: gr.Textbox, controls: list[gr.components.Component]
) -> None:
    def offer(chosen: str, *values: Any) -> list[Any]:
        """What the checkpoint has to choose from; what was chosen stays if it is among that."""
        model, (*values, typed) = shelf.load(chosen), values  # type: ignore[assignment]
        picked, guided = offered_classes(model)
        known = {value for _, value in picked["choices"]}
        stays = (bool(picked["visible"]) and values[0] in known) or bool(typed and model.words)
        updates = []
        for control, value in zip(controls, values, strict=True):
            if isinstance(control, gr.Slider):
                updates.append(gr.update(**guided | ({"value": value} if stays and guided["visible"] else {})))
            else:
                updates.append(gr.update(**picked | ({"value": value} if stays and value in known else {})))
        return updates

    follow_choice(checkpoint, offer, [checkpoint, *controls, prompt], controls)


def offered_classes(model: LatentDiffusion) -> tuple[dict[str, Any], dict[str, Any]]:
    """The class picker and the guidance for a model, before anything is chosen."""
    choices = [ANY] * model.unconditional + [(name, name) for name in model.classes]
    guidance = model.request(GenerateRequest).guidance if model.unconditional else 1
    return (
        {"choices": choices, "value": choices[0][1], "visible": bool(model.classes)},
        {
            "value": guidance,
            "visible": bool(model.classes or model.words) and model.unconditional,
            "info": "How closely the prompt is followed." if model.words else "How closely the class is followed.",
        },
    )
