"""Menus whose choices are others with another checkpoint.

Gradio refuses what is not among the choices that the server has for a page. Those become others at once when a
checkpoint is chosen, and what a slower page asks meanwhile still says what was chosen before: it would be refused, and
the page, which asks once, would stay as it was. So these let it pass. Whoever reads the value knows what there is, and
says so.
"""

from __future__ import annotations

from abc import ABCMeta
from typing import Any

import gradio as gr
from gradio.component_meta import ComponentMeta


class WithoutStub(ComponentMeta):
    """Makes a component as Gradio does, but writes no stub for type checkers beside its file."""

    def __new__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> Any:
        return ABCMeta.__new__(cls, name, bases, attributes)


# Each has its method itself: Gradio takes the kind that the page shows from a template's first base.


class Menu(gr.Dropdown, metaclass=WithoutStub):
    """A dropdown whose choices change."""

    is_template = True  # on the page it is the one it is made from

    def preprocess(self, payload: Any) -> Any:
        """What was chosen, also if it is no longer offered."""
        return payload if isinstance(payload, str) else super().preprocess(payload)


class Options(gr.Radio, metaclass=WithoutStub):
    """Radio buttons whose choices change."""

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        """What was chosen, also if it is no longer offered."""
        return payload if isinstance(payload, str) else super().preprocess(payload)
