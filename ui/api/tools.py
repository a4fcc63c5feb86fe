"""The same endpoints as tools for MCP clients, which Gradio makes of them."""

from __future__ import annotations

from importlib.util import find_spec

from ddpm_core.errors import UserError

WHERE = "gradio_api/mcp/"  # below the page's own address


def check() -> None:
    """Gradio starts without tools, and without a word, where their package is missing.

    Raises:
        UserError: it is missing.
    """
    if find_spec("mcp") is None:
        raise UserError('--mcp needs the package mcp; install it with pip install "gradio[mcp]", or leave --mcp out.')
