"""The prompt box: there if, and only if, the checkpoint knows words, and what is typed there is what is made."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from ddpm_core.images.files import read_parameters, save_png
from ddpm_core.requests import AnagramRequest, EditRequest, GenerateRequest
from tests.conftest import WORDS
from ui.components.choice import followers
from ui.models import Shelf
from ui.page import build
from ui.tabs.generate import GenerateTab
from ui.tabs.play import PlayTab

TABS = ("generate", "inpaint", "edit", "play", "process")
PARTS = ("prompt", "negative-prompt")


@pytest.fixture(scope="module")
def both(tiny_checkpoint: Path, word_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """A shelf with a checkpoint that knows no words and one that does."""
    root = tmp_path_factory.mktemp("shelf")
    for folder in (tiny_checkpoint, word_checkpoint):
        shutil.copytree(folder, root / folder.name)
    return Shelf.around(root / "tiny", "cpu")


@pytest.fixture(scope="module")
def page(both: Shelf) -> gr.Blocks:
    return build(both)


def by_id(page: gr.Blocks) -> dict[str, Any]:
    return {block.elem_id: block for block in page.blocks.values() if getattr(block, "elem_id", None)}


def column_of(block: Any) -> gr.Column:
    """The column that is shown or hidden with a component, around the form that Gradio puts it in."""
    while not isinstance(block, gr.Column):
        block = block.parent
    return block


def handlers(page: gr.Blocks, *outputs: Any) -> list[Any]:
    """What fills exactly these components, by itself or with all else that follows the choice of a checkpoint."""
    of_choice = [(each.handler, each.outputs) for each in followers(by_id(page)["checkpoint"])]
    found = [*of_choice, *((fn.fn, fn.outputs) for fn in page.fns.values())]
    return [handler for handler, fills in found if [part._id for part in fills] == [one._id for one in outputs]]


def test_without_words_nothing_of_it_is_shown_and_with_words_all(page: gr.Blocks, both: Shelf) -> None:
    for shelf, shown in ((both, False), (Shelf(both.root, "wordy", "cpu"), True)):
        found = by_id(page if shelf is both else build(shelf))
        for part in [f"{tab}-{part}" for tab in TABS for part in PARTS] + ["play-other-prompt"]:
            assert column_of(found[part]).visible == shown, part
        assert all(found[f"{tab}-guidance"].visible == shown for tab in TABS)
        assert not any(f'data-word="{word}"' in found["generate-prompt-words"].value for word in WORDS) or shown


def test_choosing_a_checkpoint_brings_its_words_and_takes_what_was_typed_where_there_are_none(page: gr.Blocks) -> None:
    found = by_id(page)
    for tab in TABS:
        box = found[f"{tab}-prompt"]
        (offer,) = handlers(page, column_of(box), box, found[f"{tab}-prompt-words"], found[f"{tab}-prompt-note"])
        column, typed, chips, note = offer("wordy", "red zebra")
        assert (column["visible"], typed, note["visible"]) == (True, "red zebra", True)
        assert [f'data-word="{word}"' in chips for word in WORDS] == [True] * len(WORDS)
        assert 'data-prompt="red ant, blue skin"' in chips  # what the checkpoint says one may begin with
        column, typed, _, note = offer("tiny", "red zebra")
        assert (column["visible"], typed, note["visible"]) == (False, "", False)


def test_words_it_does_not_know_are_named_and_are_no_markup(page: gr.Blocks) -> None:
    found = by_id(page)
    (tell,) = handlers(page, found["generate-prompt-note"])
    assert tell("wordy", "Red ant, blue skin") == gr.update(value="", visible=False)
    said = tell("wordy", "red <b>unicorn</b> " + "x" * 500)
    assert said["visible"]
    assert "wordy does not know, and passes over: b, unicorn" in said["value"]
    assert "<b>" not in said["value"]


def test_guidance_stays_with_a_prompt_that_the_next_checkpoint_reads(page: gr.Blocks) -> None:
    found = by_id(page)
    (offer,) = handlers(page, found["generate-class"], found["generate-guidance"])
    assert offer("wordy", "", 5, "red")[1]["value"] == 5
    assert offer("wordy", "", 5, "")[1]["value"] == 2


def test_what_is_typed_is_made_and_said_in_the_picture(word_checkpoint: Path) -> None:
    shelf = Shelf.around(word_checkpoint, "cpu")
    with gr.Blocks():
        checkpoint = gr.Dropdown(["wordy"], value="wordy")
        tab, play = GenerateTab(shelf, checkpoint), PlayTab(shelf, checkpoint)
    values = {"seed": 5, "count": 1, "steps": 2, "sampler": "ddim", "label": "", "guidance": 3, "strip": 2, "to": 6}
    values |= {"other": "", "view": "turned-90", "pairs": 1, "blur": 2}
    values |= {"classifier_guidance": 0, "prompt": "red ant", "other_prompt": "blue ant", "negative_prompt": "skin"}
    for update in tab._run("wordy", *(values[name] for name in tab.fields)):
        shown = update
        said = read_parameters(update[tab.gallery]["value"][0][0]) if tab.last in update else {}
    assert (said["prompt"], said["negative_prompt"], said["guidance"]) == ("red ant", "skin", 3)
    assert shown[tab.last].prompt == "red ant"
    for update in play._run("wordy", "anagram", "gif", None, *(values[name] for name in play.fields)):
        said = read_parameters(update[play.gallery]["value"][0][0]) if play.last in update else {}
    assert (said["prompt"], said["other_prompt"]) == ("red ant", "blue ant")


@pytest.mark.parametrize(
    "request_made",
    [
        GenerateRequest(prompt="red ant", negative_prompt="skin", guidance=4),
        EditRequest(prompt="red ant", negative_prompt="skin", guidance=4),
        AnagramRequest(prompt="red ant", other_prompt="blue", guidance=4),
    ],
)
def test_a_saved_picture_brings_its_prompts_back(
    page: gr.Blocks, both: Shelf, tmp_path: Path, request_made: GenerateRequest
) -> None:
    path = tmp_path / "saved.png"
    save_png(Image.new("RGB", (32, 32)), path, both.load("wordy").png_parameters(request_made))
    (use,) = [fn.fn for fn in page.fns.values() if getattr(fn.fn, "__name__", "") == "use"]
    updates: Any = use(str(path), "tiny")  # type: ignore[misc]
    shown = {getattr(component, "elem_id", None): update for component, update in updates.items()}
    tab = "play" if isinstance(request_made, AnagramRequest) else request_made.action
    assert shown[f"{tab}-prompt"] == "red ant"
    assert shown[f"{tab}-negative-prompt"] == request_made.negative_prompt
    assert shown[f"{tab}-guidance"]["value"] == 4
    if tab == "play":
        assert shown["play-other-prompt"] == "blue"
