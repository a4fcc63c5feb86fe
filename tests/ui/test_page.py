"""The whole page, as it is built."""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from ddpm_core.checkpoints import native as checkpoint
from ui import examples, page
from ui.components.choice import followers
from ui.models import Shelf
from ui.page import build


def test_the_page_can_do_without_its_examples(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examples, "FOLDER", tmp_path)
    assert build(Shelf.around(tiny_checkpoint, "cpu")).fns


def test_what_the_page_is_made_of_is_kept_for_as_long_as_it_is_open(studio: gr.Blocks) -> None:
    kept = {file for block in studio.blocks.values() for file in getattr(block, "keep_in_cache", ())}
    icons = {block.icon["path"] for block in studio.blocks.values() if getattr(block, "icon", None)}
    assert icons
    assert icons <= kept


def test_the_footer_says_what_a_model_is_and_nothing_of_it_is_markup(own_checkpoint: Path) -> None:
    config = checkpoint.read_config(own_checkpoint)
    checkpoint.write_config(own_checkpoint, config.model_copy(update={"about": "Faces <i>(CC0)</i>"}))
    facts = page._facts(Shelf.around(own_checkpoint, "cpu"), "own")
    assert "<span>own</span>" in facts
    assert "M parameters</span> · <span>runs on cpu</span> · " in facts
    assert "Faces &lt;i&gt;(CC0)&lt;/i&gt;" in facts


def test_the_footer_changes_before_the_model_is_loaded(own_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf.around(own_checkpoint, "cpu")
    built, facts = build(shelf), page._facts(shelf, "own")
    (menu, footer) = (
        next(block for block in built.blocks.values() if getattr(block, "elem_id", None) == name)
        for name in ("checkpoint", "footer")
    )
    following = [handler for handler in built.fns.values() if (menu._id, "change") in handler.targets]
    (writes,) = (handler for handler in built.fns.values() if footer in handler.outputs)
    assert following[0] is writes  # a browser sends each when it has the answer to the one before
    assert len(following) < 10 < len(followers(menu))  # which all but a few are one of
    assert not writes.queue

    monkeypatch.setattr(Shelf, "_loaded", lambda *_: pytest.fail("it was loaded"))
    assert writes.fn is not None
    assert writes.fn("own")[0] == facts
    (own_checkpoint / "denoiser.safetensors").write_bytes(b"no weights")
    assert writes.fn("own")[0] == "<p><span>own</span></p>"


def test_pictures_of_a_card_which_the_page_cannot_reach_are_left_out(own_checkpoint: Path) -> None:
    shelf = Shelf.around(own_checkpoint, "cpu")
    assert page._card(shelf, "own") == "This checkpoint has no model card."
    (own_checkpoint / checkpoint.CARD).write_text("# Own\n\n![Samples](samples.png)\n\n[Paper](https://arxiv.org)\n")
    assert page._card(shelf, "own").split() == ["#", "Own", "[Paper](https://arxiv.org)"]


def test_who_chooses_a_checkpoint_that_cannot_be_used_is_told_once_and_not_where_it_lies(
    own_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Path(shutil.copytree(own_checkpoint, own_checkpoint.with_name("broken")))
    (broken / "denoiser.safetensors").write_bytes(b"no weights")
    built = build(Shelf.around(own_checkpoint, "cpu"))
    told: list[str] = []
    monkeypatch.setattr(gr, "Warning", told.append)
    (menu,) = (block for block in built.blocks.values() if getattr(block, "elem_id", None) == "checkpoint")
    chosen = [(menu._id, "change"), (menu._id, "input")]
    follow = [handler for handler in built.fns.values() if set(handler.targets) & set(chosen) and handler.fn]

    def given(block: Any) -> Any:
        return "broken" if block is menu else block.value

    for handler in follow:
        answer = handler.fn(*map(given, handler.inputs))
        if inspect.isgenerator(answer):
            list(answer)
    (sentence,) = told
    assert sentence.startswith("broken/denoiser.safetensors is damaged or not a safetensors file")
