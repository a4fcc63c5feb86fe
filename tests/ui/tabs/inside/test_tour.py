"""The tour: its stops are views with the controls it sets."""

from __future__ import annotations

from ui.tabs.inside.tour import TOUR
from ui.tabs.inside.views import VIEWS


def test_every_stop_sets_controls_that_its_view_has_to_values_it_takes() -> None:
    assert len({stop.question for stop in TOUR}) == 3
    for stop in TOUR:
        assert stop.question.endswith("?")
        if view := VIEWS.get(stop.view):
            assert set(stop.sets) <= set(view.controls)
            view.request(**stop.sets)
