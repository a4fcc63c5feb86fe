"""The picture on the editor's canvas, and from the visitor's strokes to pixels of the upload.

The canvas never holds the upload itself: a browser would turn 16-bit pictures and colour profiles into
something else, and 24 megapixels into a slow brush. It shows a copy of a comfortable size; the strokes
are carried over to the upload's own pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from ddpm_core.images.colors import in_srgb
from ddpm_core.images.files import as_rgb
from ddpm_core.images.masks import resize_mask
from ui.theme import ACCENT, rgb

CANVAS = 768  # longer side of the canvas, pixels
BRUSH = CANVAS // 16  # radius
GLANCE, ALIKE = 16, 8  # two canvases are of one picture if so many fields a side differ by no more than so many levels
PAINT = (*rgb(ACCENT.c600), 166)  # the accent colour, see-through


def canvas(picture: Image.Image) -> Image.Image:
    """A copy in sRGB whose longer side is `CANVAS`; the pixels of tiny pictures stay visible squares.

    What a browser draws and gives back has lost its profile.
    """
    tiny = max(picture.size) * 8 < CANVAS
    how = Image.Resampling.NEAREST if tiny else Image.Resampling.LANCZOS
    return in_srgb(picture.resize(canvas_size(picture.size), how))


def canvas_size(size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of the canvas for a picture of `size` (width, height)."""
    width, height = (max(1, round(extent * CANVAS / max(size))) for extent in size)
    return width, height


def layer(painted: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """What is `painted`, bool (H, W), as an editor layer of `size` (width, height)."""
    spread = resize_mask(painted, size)
    return Image.fromarray(np.where(spread[:, :, None], np.array(PAINT, np.uint8), np.uint8(0)))


def editor_value(picture: Image.Image, painted: np.ndarray | None = None) -> dict[str, Any]:
    """What to hand to the editor for a picture and what is painted on it."""
    shown = canvas(picture)
    if painted is None:
        return {"background": shown, "layers": [], "composite": shown}
    paint = layer(painted, shown.size)
    composite = Image.alpha_composite(shown.convert("RGBA"), paint)
    return {"background": shown, "layers": [paint], "composite": composite}


def shows(value: Mapping[str, Any] | None, picture: Image.Image) -> bool:
    """Whether an editor's value is about that picture; what it reports may come in when another has been opened."""
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

    A pixel of the upload is painted if any canvas pixel on it is: a stroke never misses a pixel it touches.
    """
    # The brush may be see-through, so any alpha counts.
    layers: Sequence[Any] = [] if value is None else value.get("layers") or []
    strokes = [np.asarray(one.convert("RGBA"))[:, :, 3] > 0 for one in layers if one is not None]
    if not strokes:
        return np.zeros((size[1], size[0]), dtype=bool)
    return resize_mask(np.logical_or.reduce(strokes), size)
