"""What is called with values that no page sends: answered in a sentence, and no matter for the log."""

from __future__ import annotations

import logging
from typing import Any

import gradio as gr

from ui.errors import WENT_WRONG, Problem

NOT_TAKEN = "What was sent is not what this takes; “Use via API” at the foot of the page says what it does."

log = logging.getLogger(__name__)


class Page(gr.Blocks):
    """Gradio's page, which tells a caller whose values it cannot take what is wrong."""

    async def preprocess_data(self, block_fn: Any, *arguments: Any, **named: Any) -> Any:
        """Values for a handler, made from what was sent.

        Raises:
            Problem: they are too many or too few, or of other kinds.
        """
        try:
            return await super().preprocess_data(block_fn, *arguments, **named)
        except gr.Error as error:
            error.print_exception = False  # it is the caller's, and told; the log is spared
            raise
        except Exception:  # of pydantic, Pillow and Gradio, on what components do not expect
            raise Problem(NOT_TAKEN) from None

    async def process_api(self, block_fn: Any, *arguments: Any, **named: Any) -> Any:
        """What a handler answers, made into what the page shows.

        Raises:
            Problem: it is none that runs here, or something failed that handlers do not tell of themselves.
        """
        if isinstance(block_fn, int):
            block_fn = self.fns[block_fn]
        if block_fn.fn is None:  # it is the browser's
            raise Problem(NOT_TAKEN)
        try:
            return await super().process_api(block_fn, *arguments, **named)
        except gr.Error:
            raise
        except Exception:
            log.exception("a call failed")
            raise Problem(WENT_WRONG) from None
