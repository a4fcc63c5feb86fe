"""Fingers on a screen, as Chromium is told of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page


class Fingers:
    """Fingers on the canvas of the Inpaint tab, at places given as shares of it."""

    def __init__(self, page: Page):
        self.page = page
        self.session = page.context.new_cdp_session(page)
        box = page.locator("#inpaint-editor canvas").first.bounding_box()
        assert box
        self.box = box

    def send(self, kind: str, *places: tuple[float, float]) -> None:
        points = [
            {"x": self.box["x"] + self.box["width"] * x, "y": self.box["y"] + self.box["height"] * y, "id": finger}
            for finger, (x, y) in enumerate(places)
        ]
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def move(self, *ways: tuple[tuple[float, float], tuple[float, float]], steps: int = 8) -> None:
        """Put a finger down for each way, from a place to another, move them together, and lift them."""
        for count in range(1, len(ways) + 1):
            self.send("touchStart", *(begin for begin, _ in ways[:count]))
        for step in range(1, steps + 1):
            self.send(
                "touchMove", *((x + (u - x) * step / steps, y + (v - y) * step / steps) for (x, y), (u, v) in ways)
            )
        self.send("touchEnd")


def assert_one_stroke(path: Path, before: np.ndarray) -> None:
    """What differs from a picture (128, 128, 3) is one finger's stroke in its middle, and nothing beside it."""
    with Image.open(path) as picture:
        changed = (np.asarray(picture.convert("RGB")) != before).any(2)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    assert 30 < rows[0] < rows[-1] < 98
    assert 28 < columns[0] < 56
    assert 72 < columns[-1] < 100
