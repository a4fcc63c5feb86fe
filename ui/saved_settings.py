"""From a saved PNG back to the controls that made it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from pydantic import ValidationError

from ddpm_core.images.files import read_parameters
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.pipeline.defaults import fitting
from ddpm_core.requests import REQUESTS, GenerateRequest
from ui.components.class_picker import offered_classes
from ui.components.progress import Updates
from ui.errors import Problem


def saved_settings(path: str) -> tuple[GenerateRequest, str]:
    """The request that a saved picture was made by, and the name of the checkpoint.

    Raises:
        Problem: it does not say, or says what cannot be asked for.
    """
    # What was saved before fills could be enlarged was made without.
    name, parameters = Path(path).name, {"enlarge": False} | read_parameters(path)
    kind = REQUESTS.get(str(parameters.get("action")))
    if kind is None:
        raise Problem(f"{name} does not say how it was made; choose a PNG that the studio saved.")
    try:
        request = kind.model_validate({field: parameters[field] for field in kind.model_fields if field in parameters})
    except ValidationError:
        raise Problem(f"{name} says that it was made in a way that this version does not know.") from None
    return request, str(parameters.get("checkpoint", ""))


def filled(fields: dict[str, gr.components.Component], request: GenerateRequest, model: LatentDiffusion) -> Updates:
    """What puts a request's values into the controls of that name, as far as the model knows them."""
    classes, guidance = offered_classes(model)
    known = {value for _, value in classes["choices"]}
    updates: Updates = {}
    for name, control in fields.items():
        value: Any = getattr(request, name, None)
        if name in ("label", "other"):
            updates[control] = gr.update(**classes | ({"value": value} if value in known else {}))
        elif name == "guidance":
            updates[control] = gr.update(**guidance | ({"value": value} if model.unconditional else {}))
        elif name.endswith("prompt"):
            updates[control] = (value or "") if model.words else ""
        elif value is not None:
            updates[control] = value
    return updates


def left_out(fields: dict[str, gr.components.Component], request: GenerateRequest, model: LatentDiffusion) -> str:
    """A sentence about values without a control that are not what the page asks for; empty if there are none."""
    usual = {name: field.default for name, field in type(request).model_fields.items()}
    usual |= fitting(model.defaults.get(request.action, {}), {"sampler": request.sampler})
    given = {
        name: value
        for name, value in request.model_dump(mode="json").items()
        if name not in fields and name not in ("count", "start", "end") and value != usual[name]
    }
    controls_missing = ", ".join(f"{name} {value}" for name, value in given.items())
    return f" The page has no control for: {controls_missing}." if controls_missing else ""
