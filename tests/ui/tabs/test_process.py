"""The Process tab without a browser: what is carried to it, and the way back."""

from __future__ import annotations

import gradio as gr
import numpy as np
import pytest

from ddpm_core.requests import GenerateRequest, InpaintRequest
from ui.models import Shelf
from ui.run_inputs import RunInputs
from ui.tabs.process import ProcessTab


def test_a_plain_seed_has_its_own_steps_again(shelf: Shelf) -> None:
    with gr.Blocks() as page:
        tab = ProcessTab(shelf, gr.Dropdown(["tiny"], value="tiny"))
    painting = RunInputs(InpaintRequest(), "photo.png", np.ones((4, 4), dtype=bool))
    carried = dict(zip(tab.carried, tab.carry(painting), strict=True))
    assert carried[tab.steps] == InpaintRequest().steps < GenerateRequest().steps
    assert carried[tab.bar]["text"] == "Its settings are here; press Show the process."
    (back,) = (each for each in page.fns.values() if (tab.plain._id, "click") in each.targets)
    assert back.fn is not None
    shown = dict(zip(back.outputs, back.fn("tiny"), strict=True))
    assert shown[tab.inputs] is None
    assert shown[tab.plain] == gr.update(visible=False)
    assert shown[tab.steps] == GenerateRequest().steps


def test_the_line_reckons_with_what_was_carried_over_and_with_a_class(shelf: Shelf) -> None:
    with gr.Blocks():
        tab = ProcessTab(shelf, gr.Dropdown(["tiny"], value="tiny"))
    values = 5, 6, "ddim", "", 2, 0, "", "", "believes", 64, 1.0, "gif"
    assert tab._calls("tiny", None, *values) == 6
    painting = RunInputs(InpaintRequest(resamples=3, count=2), "photo.png", np.ones((4, 4), dtype=bool))
    expected = InpaintRequest(steps=6, resamples=3).model_calls
    assert tab._calls("tiny", painting, *values) == expected > 6
    assert tab._calls("tiny", None, *values[:3], "ant", *values[4:]) == 12  # with the class and without


def test_the_face_made_earlier_is_shown_to_checkpoints_that_know_faces(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    with gr.Blocks():
        tab = ProcessTab(shelf, gr.Dropdown(["tiny"], value="tiny"))
    assert tab.denoised.value == []  # the page opened with no such checkpoint
    shown = [("face.png", None)]
    assert tab._swap("tiny", None, [], None) == {}
    own = tab._swap("tiny", GenerateRequest(), shown, "other")
    assert own == {tab.made_with.line: gr.update(value='<p class="hint">Made with other.</p>', visible=True)}
    cleared = tab._swap("tiny", None, shown, None)
    assert (cleared[tab.frame], cleared[tab.denoised], cleared[tab.bar]["text"]) == (None, [], "Nothing made yet.")
    assert not cleared[tab.animation.group]["visible"]
    monkeypatch.setattr(shelf.load("tiny"), "framing", "face")
    assert tab._swap("tiny", None, shown, None) == {}
    restored = tab._swap("tiny", None, [], None)
    assert len(restored[tab.denoised]) == restored[tab.scrubber]["value"] == len(tab.made[1])
    assert restored[tab.animation.group]["visible"]


@pytest.mark.parametrize("format", ["gif", "mp4"])
def test_a_run_moves_in_the_format_that_was_chosen(shelf: Shelf, format: str) -> None:
    with gr.Blocks():
        tab = ProcessTab(shelf, gr.Dropdown(["tiny"], value="tiny"))
    for update in tab._run("tiny", None, 5, 3, "ddim", "", 2, 0, "", "", "believes", 64, 1.0, format):
        shown = update
    view, path = tab.animation, shown[tab.animation.download]["value"]
    assert path.endswith(f"tiny-seed-5.{format}")
    shows = view.gif if format == "gif" else view.video
    assert (shown[shows]["value"], shown[shows]["visible"]) == (path, True)
    assert len(shown[tab.latents]) == len(shown[tab.denoised]) == 3
    assert shown[tab.made_with.name] == "tiny"
    assert shown[tab.scrubber]["value"] == 3
