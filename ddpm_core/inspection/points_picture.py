"""Points on their way as pictures, one for every state."""

from __future__ import annotations

from PIL import Image, ImageDraw

from ddpm_core.inspection.points import EDGE, Flight

SIDE, RADIUS = 360, 3  # pixels
PAPER, LINE, FLYING = "#ffffff", "#d3cfc7", "#1a1917"
INKS = ("#78cfc4", "#eebf80")  # of the shape's two colours
TRAIL = 4  # states that a trail is long


def flight_frames(flight: Flight) -> list[Image.Image]:
    """A picture of every state: the shape pale, the flying points dark, and a short trail behind each."""
    return [_frame(flight, i) for i in range(len(flight.states))]


def _frame(flight: Flight, at: int) -> Image.Image:
    picture = Image.new("RGB", (SIDE, SIDE), PAPER)
    draw = ImageDraw.Draw(picture)
    for (x, y), label in zip(flight.points, flight.labels, strict=True):
        draw.ellipse(_disc(x, y, RADIUS), INKS[label])
    for i in range(len(flight.ways[0])):
        trail = [_place(*flight.ways[j][i]) for j in range(max(0, at - TRAIL), at + 1)]
        if len(trail) > 1:
            draw.line(trail, LINE)
    for x, y in flight.ways[at]:
        draw.ellipse(_disc(x, y, RADIUS - 1), FLYING)
    draw.text((8, 6), f"state {flight.states[at]}", FLYING)
    return picture


def _place(x: float, y: float) -> tuple[float, float]:
    return (x + EDGE) / (2 * EDGE) * SIDE, (EDGE - y) / (2 * EDGE) * SIDE


def _disc(x: float, y: float, radius: int) -> tuple[float, float, float, float]:
    left, top = _place(x, y)
    return left - radius, top - radius, left + radius, top + radius
