"""What is called with values that no page sends: answered in a sentence, and no matter for the log."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.errors import Problem


class Page(gr.Blocks):
    """Gradio's page, which tells a caller whose values it cannot take what is wrong."""

    async def preprocess_data(self, block_fn: Any, *arguments: Any, **named: Any) -> Any:
        """Values for a handler, made from what was sent.

        Raises:
            Problem: they are too many or too few, or of other kinds.
        """
        try:
            return await super().preprocess_data(block_fn, *arguments, **named)
        except gr.Error:
            raise
        except Exception:  # of pydantic, Pillow and Gradio, on what components do not expect
            raise Problem(
                "What was sent is not what this takes; “Use via API” at the foot of the page says what it does."
            ) from None
