"""The command that times the views of *Look inside*."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks import inside
from tests.command_lines import Outcome
from ui.tabs.inside.views import VIEWS


def test_sliders_are_dragged_to_values_that_requests_take() -> None:
    for view in VIEWS.values():
        asked = inside.dragged(view)
        assert asked
        for fields in asked:
            view.request(**fields)
    assert {"t"} in [set(fields) for fields in inside.dragged(VIEWS["noise"])]


def test_a_view_has_its_line(call: Callable[..., Outcome], tiny_checkpoint: Path) -> None:
    said = call(inside.main, "--checkpoint", tiny_checkpoint, "--only", "noise")
    assert said.status == 0
    assert said.out.splitlines()[1].startswith("noise ")
