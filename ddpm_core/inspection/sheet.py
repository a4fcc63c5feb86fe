"""Pictures side by side with words under them, as one picture."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

SIDE = 256  # pixels of a cell
GAP = 12
INK, PAPER = "#1a1917", "#ffffff"


def labelled_sheet(
    pictures: Sequence[Image.Image],
    labels: Sequence[str],
    columns: int | None = None,
    side: int = SIDE,
    title: str = "",
) -> Image.Image:
    """All pictures in cells of `side` pixels, a label of one or more lines under each, `columns` to a row.

    Small pictures are enlarged by whole numbers. Where `columns` is left out, there are at most four.
    """
    if len(pictures) != len(labels):
        raise ValueError(f"{len(pictures)} pictures want as many labels, not {len(labels)}")
    columns = columns or min(4, len(pictures))
    font = ImageFont.load_default(max(12, side // 16))
    line = round(font.getbbox("Ag")[3] * 1.25)
    below = line * max(label.count("\n") + 1 for label in labels) + GAP // 2
    above = GAP + (line + GAP // 2 if title else 0)
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * (side + GAP) + GAP, above + rows * (side + below + GAP)), PAPER)
    draw = ImageDraw.Draw(sheet)
    if title:
        draw.text((GAP, GAP), title, INK, font)
    for i, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        left, top = GAP + i % columns * (side + GAP), above + i // columns * (side + below + GAP)
        shown = fitted(picture, side)
        sheet.paste(shown, (left + (side - shown.width) // 2, top + (side - shown.height) // 2))
        draw.multiline_text((left, top + side + GAP // 3), label, INK, font, spacing=line - font.getbbox("Ag")[3])
    return sheet


def fitted(picture: Image.Image, side: int) -> Image.Image:
    """The picture in RGB, at most `side` pixels along the longer side; small ones enlarged by a whole number."""
    longer = max(picture.size)
    if longer > side:
        scale = side / longer
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        return picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    factor = side // longer
    return picture.convert("RGB").resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
