"""The Inpaint tab without a browser: what goes with the chosen checkpoint. Drafts are in `test_live_draft`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from ddpm_core.images.files import read_parameters
from tests.conftest import write_enlarging_checkpoint
from ui.components import editor_canvas
from ui.errors import Problem
from ui.models import Shelf
from ui.tabs.inpaint import InpaintTab


def placed(shelf: Shelf) -> InpaintTab:
    with gr.Blocks():
        return InpaintTab(shelf, gr.Dropdown(["tiny"], value="tiny"))


def test_paint_on_another_picture_than_the_open_one_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    """As after a new start of the server, which only knows the example."""
    open_here, uploaded = (Image.effect_noise((64, 64), spread).convert("RGB") for spread in (20, 90))
    open_here.save(tmp_path / "open.png")
    painted = np.zeros((64, 64), dtype=bool)
    painted[20:40, 20:40] = True
    tab = placed(shelf)
    values = [getattr(field, "value", None) for field in tab.fields.values()]
    with pytest.raises(Problem, match="open it again"):
        next(tab._run("tiny", str(tmp_path / "open.png"), editor_canvas.editor_value(uploaded, painted), *values))
    assert next(tab._run("tiny", str(tmp_path / "open.png"), editor_canvas.editor_value(open_here, painted), *values))


def test_a_large_fill_is_made_by_what_enlarges_unless_the_visitor_wants_none(
    own_checkpoint: Path, tmp_path: Path
) -> None:
    write_enlarging_checkpoint(own_checkpoint.with_name("larger"))
    shelf = Shelf.around(own_checkpoint, "cpu")
    with gr.Blocks():
        tab = InpaintTab(shelf, gr.Dropdown(["own"], value="own"))
    picture, path = Image.effect_noise((64, 64), 20).convert("RGB"), str(tmp_path / "open.png")
    picture.save(path)
    painted = np.zeros((64, 64), dtype=bool)
    painted[20:40, 20:40] = True
    canvas = editor_canvas.editor_value(picture, painted)
    fields = {name: getattr(field, "value", None) for name, field in tab.fields.items()} | {"steps": 1}
    for enlarge, by in ((True, "larger"), (False, None)):
        shown: dict[Any, Any] = {}
        for update in tab._run("own", path, canvas, *(fields | {"enlarge": enlarge}).values()):
            shown |= update
        assert read_parameters(shown[tab.view.results].files[0]).get("enlarged_by") == by


def choices(crop: Any) -> list[str]:
    return [value for _, value in crop["choices"]]


def test_faces_are_offered_to_checkpoints_that_know_them_alone(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    tab = placed(shelf)
    assert tab.ready.visible is False
    crop: Any = tab.fields["crop"]
    assert [words for words, _ in crop.choices] == ["whole picture", "around the paint"]
    assert "face" not in crop.info
    ready, _, crop = tab._fit("tiny", "whole")
    assert (ready["visible"], choices(crop), crop["value"]) == (False, ["auto", "painted"], "auto")

    monkeypatch.setattr(shelf.load("tiny"), "framing", "face")
    ready, _, crop = tab._fit("tiny", "painted")
    assert (ready["visible"], choices(crop), crop["value"]) == (True, ["auto", "whole", "painted"], "painted")
    assert crop["info"].startswith("A face if one is painted.")
    tab = placed(shelf)
    assert tab.ready.visible is True


def test_shipped_faces_are_offered_and_open_for_checkpoints_that_know_them_alone(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = placed(shelf)
    assert tab.thumbs.visible is False
    assert (tab.picture.value, tab.view.slider.value, tab.editor.value) == (None, None, None)
    assert tab._swap("tiny", None) == {}
    cleared = tab._swap("tiny", tab.shipped[0])
    assert [cleared[part] for part in (tab.editor, tab.picture, tab.answered, tab.view.slider)] == [None] * 4
    assert tab._fit("tiny", "auto")[1] == gr.update(visible=False)
    assert not cleared[tab.view.download]["interactive"]
    assert tab._swap("tiny", str(tmp_path / "own.png")) == {}  # a visitor's own stays

    monkeypatch.setattr(shelf.load("tiny"), "framing", "face")
    assert tab._swap("tiny", tab.shipped[0]) == {}
    opened = tab._swap("tiny", None)
    assert tab._fit("tiny", "auto")[1] == gr.update(visible=True)
    assert opened[tab.picture] == tab.shipped[0]
    assert opened[tab.view.slider][1].endswith("inpainted.png")
    assert opened[tab.view.download]["interactive"]
    assert placed(shelf).picture.value == tab.shipped[0]


def test_a_picture_that_is_opened_takes_the_result_of_another_away(shelf: Shelf, tmp_path: Path) -> None:
    Image.effect_noise((64, 64), 50).convert("RGB").save(tmp_path / "own.png")
    tab = placed(shelf)
    for with_mask in (True, False):
        opened = tab.show(str(tmp_path / "own.png"), with_mask)
        before, after = opened[tab.view.slider]
        assert before == after == opened[tab.editor]["background"]
        assert len(opened[tab.editor]["layers"]) == with_mask
        assert (opened[tab.view.results], opened[tab.done]) == (None, None)
        assert not opened[tab.view.download]["interactive"]
        assert not opened[tab.to_process]["interactive"]
    assert set(tab.opens) == set(opened)


def test_no_text_of_the_page_speaks_of_faces_where_none_are_known(studio: gr.Blocks) -> None:
    train = next(block for block in studio.blocks.values() if getattr(block, "elem_id", None) == "train-preset")
    documentation = next(block for block in studio.blocks.values() if getattr(block, "elem_id", None) == "help")

    def inside(block: Any, place: Any) -> bool:
        while block is not None:
            if block is place:
                return True
            block = block.parent
        return False

    texts = {}
    for block in studio.blocks.values():
        words = [getattr(block, name, None) for name in ("label", "info", "value", "placeholder")]
        text = " ".join(word for word in words if isinstance(word, str) and not word.startswith("/"))
        visible = block
        while visible is not None and getattr(visible, "visible", True):
            visible = visible.parent
        if "face" in text.lower() and visible is None and block is not train and not inside(block, documentation):
            texts[getattr(block, "elem_id", None)] = text
    assert texts == {}
