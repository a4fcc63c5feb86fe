"""Before and after with the variants: what can be taken away is what is shown."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from ui.components.result_view import TAKE, WAIT, ResultView, _choose

RESULTS: Any = SimpleNamespace(
    files=["a.png", "b.png"], shown=["a-small.png", "b-small.png"], pair=lambda number: ("before.png", f"{number}.png")
)


@pytest.fixture
def view() -> ResultView:
    with gr.Blocks():
        return ResultView("edit", None, None, "Nothing yet.")


def test_what_is_not_finished_cannot_be_taken_away(view: ResultView) -> None:
    updates = view.unfinished("before.png", ["half.png"])
    assert updates[view.slider] == ("before.png", "half.png")
    assert updates[view.download] == updates[view.go_on] == WAIT
    assert updates[view.variants]["visible"] is False  # one alone is no choice
    assert view.results not in updates  # what was made before can still be asked about


def test_results_can_be_taken_away_and_the_first_is_chosen(view: ResultView) -> None:
    updates = view.finished(RESULTS)
    assert updates[view.slider] == ("before.png", "0.png")
    assert updates[view.download] == gr.update(value="a.png", interactive=True)
    assert (updates[view.go_on], updates[view.results], updates[view.chosen]) == (TAKE, RESULTS, 0)
    assert updates[view.variants] == gr.update(value=RESULTS.shown, visible=True)
    assert set(updates) == set(view.parts)


def test_a_new_picture_leaves_nothing_of_the_last_result(view: ResultView) -> None:
    updates = view.opened("new.png")
    assert updates[view.slider] == ("new.png", "new.png")
    assert updates[view.results] is None
    assert updates[view.variants] == gr.update(value=[], visible=False)
    assert set(updates) == set(view.parts)


def test_the_variant_clicked_on_is_shown_and_is_what_is_downloaded() -> None:
    event: Any = SimpleNamespace(index=1)
    assert _choose(RESULTS, event) == (("before.png", "1.png"), "b.png", 1)
    assert _choose(None, event)[2] == 0
