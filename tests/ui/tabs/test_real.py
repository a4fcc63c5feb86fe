"""Which one is real? A pair is shown, a pick is judged and kept, and nobody sees the tab who did not ask for it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from ui.errors import Problem
from ui.models import Shelf
from ui.page import build
from ui.serving.settings import ServingSettings
from ui.tabs.real import RealTab, Round


@pytest.fixture
def tab(shelf: Shelf, picture_folder: Path, tmp_path: Path) -> RealTab:
    with gr.Blocks():
        return RealTab(shelf, gr.Dropdown(["tiny"], value="tiny"), picture_folder, tmp_path / "answers.jsonl")


def shown(tab: RealTab) -> dict[Any, Any]:
    (updates,) = tab._pair("tiny", Round())
    return updates


def test_a_pair_is_shown_and_a_pick_is_judged_once_and_kept(tab: RealTab) -> None:
    updates = shown(tab)
    pair = updates[tab.round]
    assert {Image.open(updates[picture]).size for picture in tab.pictures} == {(32, 32)}
    assert all(not Image.open(updates[picture]).text for picture in tab.pictures)  # which would tell
    assert all(updates[pick]["interactive"] for pick in tab.picks)

    right = tab._said(pair, pair.real)
    assert right[tab.bar]["text"].startswith("Right. You: 1 of 1. Everybody: 1 of 1")
    with pytest.raises(Problem, match="Show two pictures first"):
        tab._said(right[tab.round], 0)
    wrong = tab._said(replace(pair, right=1, asked=1), 1 - pair.real)
    assert wrong[tab.bar]["text"].startswith("Wrong: it is the other one. You: 1 of 2. Everybody: 1 of 2")

    kept = [json.loads(line) for line in tab.results.read_text().splitlines()]
    assert [answer["right"] for answer in kept] == [True, False]
    assert kept[0]["real"].endswith(".png")
    assert (kept[0]["checkpoint"], kept[0]["seed"]) == ("tiny", pair.answer.seed)


def test_either_side_may_be_real(tab: RealTab) -> None:
    sides = {shown(tab)[tab.round].real for _ in range(12)}
    assert sides == {0, 1}


def test_the_tab_is_there_only_if_asked_for(
    studio: gr.Blocks, shelf: Shelf, picture_folder: Path, tmp_path: Path
) -> None:
    def tabs(page: gr.Blocks) -> list[str]:
        return [block.id for block in page.blocks.values() if isinstance(block, gr.Tab)]

    assert "real" not in tabs(studio)
    asked = ServingSettings(which_is_real=picture_folder, answers=tmp_path / "a")
    assert not ServingSettings().which_is_real
    assert tabs(build(shelf, None, asked))[-1] == "real"
