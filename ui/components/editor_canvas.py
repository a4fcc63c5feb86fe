"""The picture on the editor's canvas, and from the visitor's strokes to pixels of the upload.

The canvas shows a copy, for a browser would alter 16-bit pictures and colour profiles, and be slow with 24 megapixels.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr
import numpy as np
from gradio.components.base import server
from gradio.components.image_editor import AcceptBlobs
from PIL import Image

from ddpm_core.images.colors import in_srgb
from ddpm_core.images.files import as_rgb
from ddpm_core.images.masks import resize_mask
from ui.components.menus import WithoutStub
from ui.errors import Problem
from ui.theme import ACCENT, rgb

NO_PICTURE = "There is no picture yet; open one or take an example."
OTHER_PICTURE = "The canvas shows another picture than the studio has open; open it again."
CANVAS = 768  # longer side of the canvas, pixels
BRUSH = CANVAS // 16  # radius
PEN = CANVAS // 32  # radius, of what colours are drawn with
COLOURS = (  # to draw with: ink, paper, skin, hair and clothes
    "#222222", "#ffffff", "#f2d3b1", "#d08b5b", "#8d5524", "#4a2c1a",
    "#e14b4b", "#f59a3c", "#f6d44b", "#4caf6d", "#35b8c4", "#3f6fd8", "#8e5bd0", "#f06fae",
)  # fmt: skip
GLANCE, ALIKE = 16, 8  # two canvases are of one picture if so many fields a side differ by no more than so many levels
PAINT = (*rgb(ACCENT.c600), 166)  # the accent colour, see-through

MOST_LAYERS = 8  # of paint; the page's canvas has one
MOST_BYTES = 8 * 2**20  # of a part of the canvas, as PNG
MOST_WAITING = 64  # canvases that were sent and not asked about yet


class Canvas(gr.ImageEditor, metaclass=WithoutStub):
    """Gradio's editor that takes only what the page's canvas can be; else anyone could fill the memory."""

    is_template = True  # on the page it is the one it is made from

    @server
    def accept_blobs(self, data: AcceptBlobs) -> None:
        """Take a part of a canvas, sent before the call about it; the oldest is forgotten.

        Raises:
            gr.Error: it is too large, or no picture.
        """
        index = str(data.data.get("index"))
        if index not in ("null", "None", "") and not (index.isdecimal() and int(index) < MOST_LAYERS):
            raise gr.Error(f"A canvas has {MOST_LAYERS} layers at most.", print_exception=False)
        for _, content in data.files:
            _refuse(content)
        while len(self.blob_storage) >= MOST_WAITING:
            self.blob_storage.pop(next(iter(self.blob_storage)), None)
        super().accept_blobs(data)

    def convert_and_format_image(self, file: Any, flatten_on_white: bool = False) -> Any:
        """As Gradio does it, but of a canvas."""
        if file is not None:
            _refuse(file if isinstance(file, bytes) else file.path)
        return super().convert_and_format_image(file, flatten_on_white)


def _refuse(file: bytes | str) -> None:
    """Raises `gr.Error` if this is not a picture of a canvas's size."""
    try:
        if isinstance(file, bytes) and len(file) > MOST_BYTES:
            raise ValueError
        with Image.open(io.BytesIO(file) if isinstance(file, bytes) else file) as picture:
            if max(picture.size) > 2 * CANVAS:
                raise ValueError
    except Exception:  # damaged files make Pillow's many readers stumble in as many ways
        raise gr.Error("This is no canvas of the page; open the picture again.", print_exception=False) from None


def canvas(picture: Image.Image) -> Image.Image:
    """A copy in sRGB, as browsers drop profiles, whose longer side is `CANVAS`; tiny pictures' pixels stay squares."""
    tiny = max(picture.size) * 8 < CANVAS
    how = Image.Resampling.NEAREST if tiny else Image.Resampling.LANCZOS
    return in_srgb(picture.resize(canvas_size(picture.size), how))


def canvas_size(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) of the canvas for a picture of `size` (width, height)."""
    width, height = (max(1, round(extent * CANVAS / max(size))) for extent in size)
    return width, height


def layer(painted: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """What is `painted`, bool (H, W), as an editor layer of `size` (width, height)."""
    spread = resize_mask(painted, size)
    return Image.fromarray(np.where(spread[:, :, None], np.array(PAINT, np.uint8), np.uint8(0)))


def editor_value(picture: Image.Image, painted: np.ndarray | None = None) -> dict[str, Any]:
    """The editor's value for a picture and what is painted on it, bool (H, W)."""
    shown = canvas(picture)
    if painted is None:
        return {"background": shown, "layers": [], "composite": shown}
    paint = layer(painted, shown.size)
    composite = Image.alpha_composite(shown.convert("RGBA"), paint)
    return {"background": shown, "layers": [paint], "composite": composite}


def drawn_on(value: Mapping[str, Any] | None, picture: Image.Image) -> Image.Image:
    """A picture with an editor's strokes on it, RGB, at its own size."""
    drawing = as_rgb(picture).convert("RGBA")
    layers: Sequence[Any] = [] if value is None else value.get("layers") or []
    for strokes in (one for one in layers if one is not None):
        smaller = strokes.convert("RGBA").resize(picture.size, Image.Resampling.BOX)
        drawing = Image.alpha_composite(drawing, smaller)
    return drawing.convert("RGB")


def opened(picture: str | None, value: Mapping[str, Any] | None) -> str:
    """The file that is open. Raises `Problem` where none is.

    A server that was started again has forgotten which file it was; the page still has it on its canvas.
    """
    if picture is not None:
        return picture
    raise Problem(OTHER_PICTURE if value is not None and value.get("background") is not None else NO_PICTURE)


def shows(value: Mapping[str, Any] | None, picture: Image.Image) -> bool:
    """Whether an editor's value is about that picture; reports may come in when another has been opened."""
    background = None if value is None else value.get("background")
    if background is None or background.size != canvas_size(picture.size):
        return False
    glances = [as_rgb(one).resize((GLANCE, GLANCE), Image.Resampling.BOX) for one in (background, canvas(picture))]
    given, expected = (np.asarray(glance, dtype=int) for glance in glances)
    free = ~resize_mask(
        painted_on(value, background.size), (GLANCE, GLANCE)
    )  # the page may lay its paint on the background
    return bool((np.abs(given - expected)[free] <= ALIKE).all())


def painted_on(value: Mapping[str, Any] | None, size: tuple[int, int]) -> np.ndarray:
    """Bool (H, W), True where any layer of an editor's value is painted, for an upload of `size` (width, height).

    A stroke never misses a pixel of the upload that it touches.
    """
    # The brush may be see-through, so any alpha counts.
    layers: Sequence[Any] = [] if value is None else value.get("layers") or []
    strokes = [np.asarray(one.convert("RGBA"))[:, :, 3] > 0 for one in layers if one is not None]
    if not strokes:
        return np.zeros((size[1], size[0]), dtype=bool)
    return resize_mask(np.logical_or.reduce(strokes), size)
