"""Points on their way as pictures: one for every state."""

from __future__ import annotations

import numpy as np

from ddpm_core.inspection.points import PointsRequest, flight
from ddpm_core.inspection.points_picture import FLYING, SIDE, _place, flight_frames
from ddpm_core.pipeline import LatentDiffusion


def test_every_state_is_a_picture_with_the_points_where_they_are(tiny_model: LatentDiffusion) -> None:
    made = flight(tiny_model, PointsRequest(steps=3, count=4))
    frames = flight_frames(made)
    assert [frame.size for frame in frames] == [(SIDE, SIDE)] * 4
    ink = tuple(bytes.fromhex(FLYING[1:]))
    for frame, places in zip(frames, made.ways, strict=True):
        pixels = np.asarray(frame)
        for x, y in places:
            left, top = (round(value) for value in _place(x, y))
            if 3 < left < SIDE - 3 and 20 < top < SIDE - 3:
                assert tuple(pixels[top, left]) == ink
