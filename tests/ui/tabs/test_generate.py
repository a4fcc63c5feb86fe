"""The Generate tab without a browser: what a press puts on the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from ddpm_core.images.files import read_parameters, save_png
from ddpm_core.requests import GenerateRequest
from tests.conftest import write_enlarging_checkpoint
from tests.ui.conftest import grain
from ui.errors import Problem
from ui.models import Shelf
from ui.tabs.generate import GenerateTab, captions_of, picked


@pytest.fixture
def tab(shelf: Shelf) -> GenerateTab:
    with gr.Blocks():
        return GenerateTab(shelf, gr.Dropdown(["tiny"], value="tiny"))


def press(tab: GenerateTab, **changes: Any) -> dict[Any, Any]:
    """What a press leaves on the page: the last value of every output."""
    values = {"seed": 5, "count": 1, "steps": 3, "sampler": "ddim", "label": "", "guidance": 2}
    values |= {"classifier_guidance": 0, "prompt": "", "negative_prompt": ""} | changes
    shown: dict[Any, Any] = {}
    for update in tab._run("tiny", *(values[name] for name in tab.fields)):
        shown |= update
        if tab.last in update:  # Gradio copies the files before it asks for more; then they are gone
            shown["seeds"] = [read_parameters(file)["seed"] for file, _ in update[tab.gallery]["value"]]
    return shown


def test_a_press_makes_a_picture_a_seed_and_says_which(tab: GenerateTab) -> None:
    shown = press(tab, count=2)
    assert [caption for _, caption in shown[tab.gallery]["value"]] == ["seed 5", "seed 6"]
    assert shown["seeds"] == [5, 6]
    assert shown[tab.last] == GenerateRequest(seed=5, count=2, steps=3, sampler="ddim")
    assert shown[tab.chosen] == 0


def carries(tab: GenerateTab, shown: dict[Any, Any]) -> set[bool]:
    return {shown[button]["interactive"] for button in (tab.to_inpaint, tab.to_edit, tab.to_process)}


def test_nothing_can_be_done_with_a_picture_until_there_is_one(tab: GenerateTab) -> None:
    buttons = tab.to_inpaint, tab.to_edit, tab.to_process
    assert {button.interactive for button in buttons} == {False}  # the page opened with none
    assert carries(tab, press(tab)) == {True}
    assert carries(tab, tab._swap("tiny", tab.example, None)) == {False}
    assert carries(tab, tab._made_earlier()) == {True}


def test_what_another_checkpoint_made_says_so(tab: GenerateTab) -> None:
    with_name = press(tab)[tab.made_with.name]
    assert with_name == "tiny"
    own, line = GenerateRequest(seed=3), tab.made_with.line
    assert not tab._swap("tiny", own, with_name)[line]["visible"]
    told = tab._swap("tiny", own, "<b>")[line]
    assert (told["visible"], told["value"]) == (True, '<p class="hint">Made with &lt;b&gt;.</p>')
    assert press(tab)[line] == tab._made_earlier()[line] == gr.update(visible=False)


def test_faces_made_earlier_are_shown_to_checkpoints_that_know_them(
    tab: GenerateTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (tab.gallery.value, tab.last.value) == ([], None)  # the page opened with no such checkpoint
    assert tab._swap("tiny", None, None) == {}
    cleared = tab._swap("tiny", tab.example, None)
    assert (cleared[tab.gallery]["value"], cleared[tab.last]) == ([], None)
    assert tab._swap("tiny", GenerateRequest(seed=3), None) == {}  # a visitor's own stay
    monkeypatch.setattr(tab.shelf.load("tiny"), "framing", "face")
    assert tab._swap("tiny", tab.example, None) == {}
    restored = tab._swap("tiny", None, None)
    assert len(restored[tab.gallery]["value"]) == len(tab.shipped)
    assert restored[tab.last] == tab.example


def test_an_empty_seed_is_a_sentence(tab: GenerateTab) -> None:
    with pytest.raises(Problem, match="seed is empty"):
        press(tab, seed=None)


def test_captions_name_the_class() -> None:
    assert captions_of(GenerateRequest(seed=3, label="7")) == ["7, seed 3"]


def test_settings_of_a_saved_picture_come_back_into_the_controls(tab: GenerateTab) -> None:
    updates = tab.fill(GenerateRequest(seed=77, count=3, steps=9, sampler="unipc"), tab.shelf.load("tiny"))
    assert updates[tab.fields["seed"]] == 77
    assert updates[tab.fields["sampler"]] == "unipc"
    assert "Generate makes it again" in updates[tab.bar]["text"]


def test_the_pictures_that_are_shown_are_enlarged_in_their_places(own_checkpoint: Path, tmp_path: Path) -> None:
    shelf = Shelf.around(own_checkpoint, "cpu")
    with gr.Blocks():
        tab = GenerateTab(shelf, gr.Dropdown(["own"], value="own"))
    write_enlarging_checkpoint(own_checkpoint.with_name("larger"))
    with pytest.raises(Problem, match="generate one first"):
        list(tab._enlarge("own", None, None))

    gallery = [(str(tmp_path / f"{seed}.png"), f"seed {seed}") for seed in (5, 6)]
    request = GenerateRequest(seed=5, count=2)
    for (path, _), one in zip(gallery, request.singles(), strict=True):
        save_png(Image.fromarray(grain(16, 16)), path, shelf.load("own").png_parameters(one))
    shown: dict[Any, Any] = {}
    for update in tab._enlarge("own", gallery, request):
        shown |= update
    assert [caption for _, caption in shown[tab.gallery]["value"]] == ["seed 5", "seed 6"]
    for seed, (path, _) in zip((5, 6), shown[tab.gallery]["value"], strict=True):
        assert Image.open(path).size == (32, 32)
        said = read_parameters(path)
        assert (said["action"], said["checkpoint"], said["seed"]) == ("enlarge", "larger", seed)
        assert said["continued_from"]["seed"] == seed


def test_what_is_picked_is_the_picture_chosen_or_the_last() -> None:
    gallery = [("one.png", "seed 1"), ("two.png", "seed 2")]
    assert [picked(gallery, index) for index in (0, 1, 5)] == ["one.png", "two.png", "two.png"]
    for nothing in (None, []):
        with pytest.raises(Problem, match="generate one first"):
            picked(nothing, 0)
