"""Quantities as people read them."""

from __future__ import annotations

import pytest

from ddpm_core.display.units import in_bytes, in_hours


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0.0 MB"), (3_140_000, "3.1 MB"), (29_600_000, "30 MB"), (1.25e9, "1.2 GB"), (12e9, "12 GB")],
)
def test_bytes_are_reported_as_people_read_them(count: float, said: str) -> None:
    assert in_bytes(count) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "0 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (4800, "1 h 20 min"), (9e5, "250 h 0 min")],
)
def test_durations_are_reported_as_people_say_them(seconds: float, said: str) -> None:
    assert in_hours(seconds) == said
