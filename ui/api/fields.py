"""Fields of the actions for other programs, with the defaults and choices of requests."""

from __future__ import annotations

from typing import get_args

import gradio as gr

from ddpm_core.requests import GenerateRequest, InpaintRequest


def number(name: str, kind: type[GenerateRequest] = GenerateRequest) -> gr.Number:
    """A field of a request that is a number."""
    return gr.Number(kind.model_fields[name].default, label=name)


def choice(name: str, kind: type[GenerateRequest] = GenerateRequest) -> gr.Radio:
    """A field of a request that is one of some names."""
    field = kind.model_fields[name]
    return gr.Radio(list(get_args(field.annotation)), value=field.default, label=name)


def shaping() -> list[gr.components.Component]:
    """What becomes of the painted part's edge."""
    return [*(number(name, InpaintRequest) for name in ("grow", "feather")), choice("crop", InpaintRequest)]


def classes(*names: str) -> list[gr.components.Component]:
    """Classes to make, by field, `label` if nothing else is said, and how closely to follow them."""
    return [*(gr.Textbox("", label=name) for name in names or ("label",)), number("guidance")]


def checkpoint() -> gr.Textbox:
    """Which checkpoint to use."""
    return gr.Textbox("", label="checkpoint")


def file(label: str) -> gr.File:
    """A file that the program uploads."""
    return gr.File(label=label, type="filepath")
