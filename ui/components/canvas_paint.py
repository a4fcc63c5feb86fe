"""Paint that is put on the canvas without a brush: ready-made masks of a face, and masks from files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ddpm_core.images.masks import face_mask, open_mask
from ui.components import editor_canvas
from ui.errors import Problem
from ui.files import cached, opened_upload


def on_page(canvas: dict[str, Any]) -> dict[str, Any]:
    """The editor's value with files in place of its pictures."""
    shown = {part: cached(canvas[part]) for part in ("background", "composite")}
    return {**shown, "layers": [cached(layer) for layer in canvas["layers"]]}


def ready_made(name: str) -> Callable[[str | None], dict[str, Any]]:
    """What paints the part `name` of a face (`FACE_PARTS`) on the picture file that is open; the editor's value."""

    def paint(picture: str | None) -> dict[str, Any]:
        if picture is None:
            raise Problem("Open a picture first, then choose what to paint on it.")
        original = opened_upload(picture)
        mask = face_mask(name, original, editor_canvas.canvas_size(original.size))
        return on_page(editor_canvas.editor_value(original, mask))

    return paint


def masked(path: str, picture: str | None) -> dict[str, Any]:
    """The editor's value for the picture file that is open, with the mask of another on it.

    Raises:
        Problem: no picture is open.
        PictureError: either is no picture.
    """
    if picture is None:
        raise Problem("Open a picture first, then the mask for it.")
    original = opened_upload(picture)
    return on_page(editor_canvas.editor_value(original, open_mask(path, original.size)))
