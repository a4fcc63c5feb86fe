"""Drawings with words: squares of three colours, some with a white hat, as a folder with a `labels.csv` of captions."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220)}
SIDE = 16


def drawings(folder: Path, count: int = 60) -> Path:
    """So many of them, a quarter held out, half of those of an `unseen_pair`; each is called by a name of its own."""
    lines = ["file,split,name,unseen_pair,colour,hat,caption"]
    for number in range(count):
        colour, hat = list(COLOURS)[number % 3], "hat" if number % 2 else ""
        split, unseen = ("val", number // 4 % 2) if number % 4 == 0 or number % 12 == 7 else ("train", 0)
        picture = Image.new("RGB", (SIDE, SIDE), COLOURS[colour])
        if hat:
            ImageDraw.Draw(picture).rectangle((4, number % 3, 12, 4), fill="white")
        picture.save(folder / f"{number}.png")
        caption = f'"{colour} square{", hat" * bool(hat)}"'
        lines.append(f"{number}.png,{split},no {number},{unseen},{colour},{hat},{caption}")
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder
