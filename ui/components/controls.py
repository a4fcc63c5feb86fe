"""Controls that more than one tab has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import gradio as gr

from ddpm_core.requests import MAX_COUNT, MAX_SEED, METHOD, GenerateRequest, InpaintRequest
from ui.components.choice import visitor_chose
from ui.components.events import AT_ONCE, ONE_AT_A_TIME, PAGE_ONLY
from ui.components.menus import Options
from ui.errors import without_warning
from ui.models import Shelf
from ui.theme import icon

EDGE = 64  # pixels that sliders offer for the edge of what is painted; requests allow more
SAMPLERS = {  # what they are called on the page; one that is not here goes by its name in requests
    "ddim": "DDIM", "ddpm": "DDPM", "euler": "Euler", "heun": "Heun", "dpm-solver++": "DPM-Solver++",
    "sde-dpm-solver++": "DPM-Solver++ SDE", "unipc": "UniPC", "langevin": "Langevin", "lcm": "LCM",
}  # fmt: skip
CLAMPS = {"clean": "clean", "noised": "as noisy (RePaint)"}  # likewise


def icon_button(words: str, picture: str, elem_id: str) -> gr.Button:
    """A square button that shows a picture and says words to those who listen."""
    button = gr.Button(words, icon=icon(picture), elem_id=elem_id, elem_classes="square", min_width=40, scale=0)
    if button.icon:  # Gradio would remove it after an hour, or as another studio of this machine ends
        button.keep_in_cache.add(button.icon["path"])
    return button


def seed_row(name: str, last: gr.State, value: int = 0, label: str = "Seed", field: str = "seed") -> gr.Number:
    """A seed, with a dice and a button that puts back the `field` of the last run's request."""
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
    """CSS classes of a gallery that shows so many squares."""
    return ["stage", f"of-{max(1, count)}"]


def count_row(name: str, label: str = "Pictures") -> gr.Slider:
    """How many pictures at once."""
    return gr.Slider(1, MAX_COUNT, 1, step=1, label=label, elem_id=f"{name}-count", buttons=[])


def sampling(name: str, own: GenerateRequest) -> tuple[gr.Slider, gr.Radio]:
    """Steps and sampler, for the Advanced fold, at first those of the checkpoint's `own` request; see `follow`."""
    steps = gr.Slider(
        1, 200, own.steps, step=1, label="Steps", info="More steps, finer and slower.",
        elem_id=f"{name}-steps", buttons=[],
    )  # fmt: skip
    choices = [(SAMPLERS.get(key, key), key) for key in get_args(GenerateRequest.model_fields["sampler"].annotation)]
    sampler = gr.Radio(
        choices, value=own.sampler, label="Sampler", elem_id=f"{name}-sampler",
        info="DDPM and Langevin add fresh noise and want more steps. Heun and Langevin take twice as long for each. "
        "Euler's pictures are DDIM's. LCM is for checkpoints made for few steps.",
    )  # fmt: skip
    return steps, sampler


def follow(
    checkpoint: gr.Dropdown,
    shelf: Shelf,
    kind: type[GenerateRequest],
    fields: Mapping[str, gr.components.Component],
    carried: gr.State | None = None,
) -> None:
    """Set a tab's controls of method to a checkpoint's own when a visitor chooses it.

    Not for a saved picture's settings, nor for a run `carried` over from another tab.
    """
    own_way = set(METHOD) - {"guidance"}  # which is the class picker's
    method = {name: control for name, control in fields.items() if name in own_way}

    def own(chosen: str, inputs: Any = None) -> list[Any]:
        request = shelf.load(chosen).request(kind)
        return [getattr(request, name) if inputs is None else gr.skip() for name in method]

    given = [checkpoint] if carried is None else [checkpoint, carried]
    gr.on(visitor_chose(checkpoint), without_warning(own), given, list(method.values()), **PAGE_ONLY, **ONE_AT_A_TIME)


def holding(name: str, own: InpaintRequest) -> tuple[gr.Radio, gr.Slider]:
    """How kept cells are held, and how often each step is taken, for the Advanced fold; as `sampling`."""
    clamp = gr.Radio(
        [(CLAMPS.get(key, key), key) for key in get_args(InpaintRequest.model_fields["clamp"].annotation)],
        value=own.clamp, label="What is kept is shown", elem_id=f"{name}-clamp",
        info="As noisy as what is made anew, or without noise.",
    )  # fmt: skip
    resamples = gr.Slider(
        1, 10, own.resamples, step=1, label="Times each step is taken", elem_id=f"{name}-resamples", buttons=[],
        info="More fits better to what is kept, and takes as many times longer.",
    )  # fmt: skip
    return clamp, resamples


def shaping(name: str, faces: bool) -> tuple[gr.Slider, gr.Slider, gr.Radio, gr.Checkbox]:
    """Growing, feather, crop and enlargement, for the Advanced fold; `faces`: whether the model knows them."""
    fields = InpaintRequest.model_fields
    grow = gr.Slider(
        -EDGE, EDGE, fields["grow"].default, step=1, label="Grow, pixels", elem_id=f"{name}-grow", buttons=[],
        info="Makes anew this much beyond the paint; below 0, less than is painted.",
    )  # fmt: skip
    feather = gr.Slider(
        0, EDGE, fields["feather"].default, step=1, label="Feather, pixels", elem_id=f"{name}-feather", buttons=[],
        info="Fades in over this much, inside the paint only.",
    )  # fmt: skip
    crop = Options(**crop_choice(faces, fields["crop"].default), label="The model sees", elem_id=f"{name}-crop")
    enlarge = gr.Checkbox(
        fields["enlarge"].default, label="Finer where it is large", elem_id=f"{name}-enlarge",
        info="Makes up detail for what is larger than the model's pictures; drafts are without.",
    )  # fmt: skip
    return grow, feather, crop, enlarge


def crop_choice(faces: bool, value: str) -> dict[str, Any]:
    """What a model can be shown of an upload; to one that knows no faces "auto" is the whole."""
    around = "Around the paint, small parts of large pictures come out finer."
    if faces:
        choices = [("the face in it", "auto"), ("whole picture", "whole"), ("around the paint", "painted")]
        return {"choices": choices, "value": value, "info": f"A face if one is painted. {around}"}
    choices = [("whole picture", "auto"), ("around the paint", "painted")]
    return {"choices": choices, "value": "auto" if value == "whole" else value, "info": around}
