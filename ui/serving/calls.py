"""Gradio's page: what it tells browsers of itself, and what it answers to values that no page sends."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from typing import Any

import gradio as gr

from ui.errors import WENT_WRONG, Problem
from ui.languages import translated

NOT_TAKEN = "What was sent is not what this takes; “Use via API” at the foot of the page says what it does."

log = logging.getLogger(__name__)


class Page(gr.Blocks):
    """Gradio's page, which tells callers what is wrong with what they sent.

    Attributes:
        for_programs: what holds the API's components, which nobody sees; None if there is none.
    """

    for_programs: gr.Column | None = None

    def get_config_file(self) -> Any:
        """What the page is made of: to programs all of it, to browsers what can be seen.

        Gradio's time to build a page grows faster than the number of components, a third of which are the API's.
        """
        config: Any = super().get_config_file()
        main = config["page"].get("")
        if self.for_programs is None or main is None:
            return config
        branches = main["layout"]["children"]
        unseen = {id for branch in branches if branch["id"] == self.for_programs._id for id in _ids(branch)}
        main["layout"]["children"] = [branch for branch in branches if branch["id"] not in unseen]
        main["components"] = [id for id in main["components"] if id not in unseen]
        return config

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], state: Any = None, *arguments: Any, **named: Any
    ) -> Any:
        """Values for a handler, made from what was sent.

        Raises:
            Problem: they are too many, too few, or of other kinds.
        """
        if len(inputs) == len(block_fn.inputs):
            pairs = zip(block_fn.inputs, inputs, strict=True)
            inputs = [within(state.get(each._id, each) if state else each, value) for each, value in pairs]
        try:
            return await super().preprocess_data(block_fn, inputs, state, *arguments, **named)
        except gr.Error as error:
            error.print_exception = False  # it is the caller's, and told; the log is spared
            raise
        except Exception:  # of pydantic, Pillow and Gradio, on what components do not expect
            raise Problem(NOT_TAKEN) from None

    async def postprocess_data(self, *arguments: Any, **named: Any) -> Any:
        """What a handler answers, texts that come with an update in the visitor's language."""
        answer = await super().postprocess_data(*arguments, **named)
        return [translated(each) for each in answer]

    async def process_api(self, block_fn: Any, *arguments: Any, **named: Any) -> Any:
        """What a handler answers, as the page shows it.

        Raises:
            Problem: no such handler runs here, or something failed in it.
        """
        if isinstance(block_fn, int):
            block_fn = self.fns[block_fn]
        try:
            if block_fn.fn is None:  # it is the browser's
                raise Problem(NOT_TAKEN)
            return await super().process_api(block_fn, *arguments, **named)
        except gr.Error:
            raise
        except Exception:
            log.exception("a call failed")
            raise Problem(WENT_WRONG) from None
        finally:
            if (state := named.get("state")) is not None:
                # A copy of the whole page's description, about a megabyte, for links to what a session has open, which
                # are not served; a program has a new session in every call, and Gradio keeps thousands of them.
                state.config_values.clear()


def within(control: Any, value: Any) -> Any:
    """A slider's value within its bounds, its minimum for nothing; any other control's as it is.

    While a number is typed, a slider sends what is out of bounds.
    """
    if not isinstance(control, gr.Slider):
        return value
    if value is None:
        return control.minimum
    if isinstance(value, int | float) and math.isfinite(value):
        return min(max(value, control.minimum), control.maximum)
    return value


def _ids(branch: Mapping[str, Any]) -> Iterator[int]:
    yield branch["id"]
    for child in branch.get("children", ()):
        yield from _ids(child)
