"""A moving picture and its download."""

from __future__ import annotations

import gradio as gr
import pytest

from ui.components.animation_view import AnimationView


@pytest.fixture
def view() -> AnimationView:
    with gr.Blocks():
        return AnimationView("play", None)


@pytest.mark.parametrize(("kind", "label"), [("gif", "Download GIF"), ("mp4", "Download MP4")])
def test_one_format_is_shown_the_other_hidden_and_the_button_says_which(
    view: AnimationView, kind: str, label: str
) -> None:
    shown = view.shows(f"way.{kind}")
    assert set(shown) == set(view.parts)
    assert shown[view.group]["visible"]
    for part, its_kind in ((view.gif, "gif"), (view.video, "mp4")):
        assert (shown[part]["value"], shown[part]["visible"]) == (
            (f"way.{kind}", True) if its_kind == kind else (None, False)
        )
    assert (shown[view.download]["value"], shown[view.download]["label"]) == (f"way.{kind}", label)


def test_where_nothing_moves_nothing_is_shown_or_can_be_taken_away(view: AnimationView) -> None:
    hidden = view.shows(None)
    assert set(hidden) == set(view.parts)
    assert not hidden[view.group]["visible"]
    assert [hidden[part] for part in (view.gif, view.video, view.download)] == [None] * 3
    assert not view.group.visible  # as it is placed, too
