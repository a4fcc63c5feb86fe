"""Controls that more than one tab has."""

from __future__ import annotations

from typing import Any, get_args

import gradio as gr

from ddpm_core.requests import MAX_COUNT, MAX_SEED, GenerateRequest, InpaintRequest
from ui.components.events import AT_ONCE
from ui.theme import icon

EDGE = 64  # pixels that sliders offer for the edge of what is painted; requests allow more
SAMPLERS = {  # what they are called on the page; one that is not here goes by its name in requests
    "ddim": "DDIM", "ddpm": "DDPM", "euler": "Euler", "heun": "Heun", "dpm-solver++": "DPM-Solver++",
    "unipc": "UniPC", "langevin": "Langevin",
}  # fmt: skip


def icon_button(words: str, picture: str, elem_id: str) -> gr.Button:
    """A square button that shows a picture and says, to those who listen, words."""
    return gr.Button(words, icon=icon(picture), elem_id=elem_id, elem_classes="square", min_width=40, scale=0)


def seed_row(name: str, last: gr.State, value: int = 0, label: str = "Seed", field: str = "seed") -> gr.Number:
    """A seed, with a dice and a button that puts back that of the last run: the `field` of the request in `last`."""
    with gr.Row(elem_classes="seed-row", equal_height=True):
        seed = gr.Number(
            value, label=label, precision=None, step=1, elem_id=f"{name}-seed", min_width=96, scale=4, container=True
        )
        dice = icon_button("Another seed", "dice", f"{name}-dice")
        again = icon_button("The last seed again", "again", f"{name}-again")
    dice.click(None, outputs=seed, js=f"() => Math.floor(Math.random() * {MAX_SEED + 1})", **AT_ONCE)
    again.click(lambda request: getattr(request, field, gr.skip()), last, seed, **AT_ONCE)
    return seed


def stage_of(count: int) -> list[str]:
    """Classes of a gallery that shows so many squares; the style sheet knows how they fill the stage best."""
    return ["stage", f"of-{max(1, count)}"]


def count_row(name: str, label: str = "Pictures") -> gr.Slider:
    """How many pictures at once."""
    return gr.Slider(1, MAX_COUNT, 1, step=1, label=label, elem_id=f"{name}-count", buttons=[])


def sampling(name: str, request: type[GenerateRequest] = GenerateRequest) -> tuple[gr.Slider, gr.Radio]:
    """Steps and sampler, for the Advanced fold, starting from the defaults of a kind of request."""
    fields = request.model_fields
    steps = gr.Slider(
        1, 200, fields["steps"].default, step=1, label="Steps", info="More steps, finer and slower.",
        elem_id=f"{name}-steps", buttons=[],
    )  # fmt: skip
    choices = [(SAMPLERS.get(key, key), key) for key in get_args(fields["sampler"].annotation)]
    sampler = gr.Radio(
        choices, value=fields["sampler"].default, label="Sampler", elem_id=f"{name}-sampler",
        info="DDPM and Langevin add fresh noise and want more steps. Heun and Langevin take twice as long for each. "
        "Euler's pictures are DDIM's.",
    )  # fmt: skip
    return steps, sampler


def shaping(name: str, faces: bool) -> tuple[gr.Slider, gr.Slider, gr.Radio]:
    """Growing, feather and crop of what is painted, for the Advanced fold; `faces`: whether the model knows them."""
    fields = InpaintRequest.model_fields
    grow = gr.Slider(
        -EDGE, EDGE, fields["grow"].default, step=1, label="Grow, pixels", elem_id=f"{name}-grow", buttons=[],
        info="Makes anew this much beyond the paint; below 0, less than is painted.",
    )  # fmt: skip
    feather = gr.Slider(
        0, EDGE, fields["feather"].default, step=1, label="Feather, pixels", elem_id=f"{name}-feather", buttons=[],
        info="Fades in over this much, inside the paint only.",
    )  # fmt: skip
    crop = gr.Radio(**crop_choice(faces, fields["crop"].default), label="The model sees", elem_id=f"{name}-crop")
    return grow, feather, crop


def crop_choice(faces: bool, value: str) -> dict[str, Any]:
    """What a model can be shown of an upload, and what it says; to one that knows no faces "auto" is the whole."""
    around = "Around the paint, small parts of large pictures come out finer."
    if faces:
        choices = [("the face in it", "auto"), ("whole picture", "whole"), ("around the paint", "painted")]
        return {"choices": choices, "value": value, "info": f"A face if one is painted. {around}"}
    choices = [("whole picture", "auto"), ("around the paint", "painted")]
    return {"choices": choices, "value": "auto" if value == "whole" else value, "info": around}
