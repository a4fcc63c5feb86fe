"""Photographs with faces where a test wants them."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from ddpm_core.images.faces import Box

FACE = sorted((Path(__file__).resolve().parents[1] / "static" / "examples").glob("face-*.png"))[0]


def photo(*faces: Box, width: int = 700, height: int = 500) -> Image.Image:
    """A grey sheet with the example's face in each of the squares."""
    sheet = Image.new("RGB", (width, height), (128, 130, 125))
    for left, top, side in faces:
        sheet.paste(Image.open(FACE).convert("RGB").resize((side, side)), (left, top))
    return sheet
