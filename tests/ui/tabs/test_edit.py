"""The Edit tab without a browser: what its handlers leave on the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from ddpm_core.images.crop import center_crop
from ddpm_core.images.files import open_picture, read_parameters
from tests.conftest import write_enlarging_checkpoint
from tests.ui.conftest import grain
from ui.components.result_view import _choose
from ui.errors import Problem, as_warning
from ui.models import Shelf
from ui.tabs.edit import EditTab, _about

FIELDS: dict[str, Any] = {
    "strength": 0.5, "seed": 6, "label": "", "guidance": 2, "count": 1, "steps": 4, "sampler": "ddim",
    "classifier_guidance": 0, "prompt": "", "negative_prompt": "",
}  # fmt: skip
SIDE = 32  # of the tiny checkpoint's pictures


@pytest.fixture(scope="module")
def edit(shelf: Shelf) -> EditTab:
    """The tab, on a page nobody looks at."""
    with gr.Blocks():
        return EditTab(shelf, gr.Dropdown(["tiny"], value="tiny"))


@pytest.fixture
def photo(tmp_path: Path) -> str:
    """A picture file that is not square."""
    Image.fromarray(grain(80, 60)).save(tmp_path / "photo.png")
    return str(tmp_path / "photo.png")


def edited(tab: EditTab, picture: str | None, canvas: Any = None, **fields: Any) -> dict[Any, Any]:
    """What a run leaves on the page: the last value of every output."""
    shown: dict[Any, Any] = {}
    for update in tab._run("tiny", picture, canvas, *{**FIELDS, **fields}.values()):
        shown |= update
    return shown


def pixels(path: str) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_the_controls_are_those_a_request_has(edit: EditTab) -> None:
    assert list(edit.fields) == list(FIELDS)


def test_a_run_shows_before_and_after_and_can_be_taken_away(edit: EditTab, photo: str) -> None:
    shown = edited(edit, photo)
    before, after = shown[edit.view.slider]
    assert np.array_equal(pixels(before), np.asarray(center_crop(open_picture(photo), SIDE)))
    assert pixels(after).shape == (SIDE, SIDE, 3)
    assert shown[edit.view.download] == gr.update(value=after, interactive=True)
    assert shown[edit.last].seed == 6
    assert not shown[edit.view.variants]["visible"]
    assert shown[edit.view.bar]["text"].startswith("2 steps in ")  # half of four
    parameters = read_parameters(after)
    assert (parameters["action"], parameters["strength"], parameters["seed"]) == ("edit", 0.5, 6)


def test_variants_can_be_chosen_from(edit: EditTab, photo: str) -> None:
    shown = edited(edit, photo, count=3)
    results, variants = shown[edit.view.results], shown[edit.view.variants]
    assert variants["visible"]
    assert variants["value"] == results.files
    assert [read_parameters(path)["seed"] for path in results.files] == [6, 7, 8]
    third = gr.SelectData(None, {"index": 2, "value": None})
    assert _choose(results, third) == ((results.before, results.files[2]), results.files[2], 2)
    assert _choose(None, third) == (gr.skip(), gr.skip(), 0)  # the server has been started anew since


def test_what_is_shown_is_enlarged_where_a_checkpoint_was_trained_to(own_checkpoint: Path, tmp_path: Path) -> None:
    Image.fromarray(grain(20, 17)).save(tmp_path / "small.png")
    shelf = Shelf.around(own_checkpoint, "cpu")
    with gr.Blocks():
        tab = EditTab(shelf, gr.Dropdown(["own"], value="own"))
    write_enlarging_checkpoint(own_checkpoint.with_name("larger"))
    with pytest.raises(Problem, match="There is no picture yet"):
        list(tab._enlarge("own", None, 0, None, 1))

    shown: dict[Any, Any] = {}
    for update in tab._enlarge("own", None, 0, str(tmp_path / "small.png"), 5):
        shown |= update
    results, sizes = shown[tab.view.results], [Image.open(path).size for path in shown[tab.view.slider]]
    assert sizes == [(40, 34), (40, 34)]  # bicubically, and made
    said = read_parameters(results.files[0])
    assert (said["action"], said["checkpoint"], said["seed"]) == ("enlarge", "larger", 5)
    for update in tab._enlarge("own", results, 0, str(tmp_path / "small.png"), 5):
        shown |= update
    assert Image.open(shown[tab.view.results].files[0]).size == (80, 68)  # of the result, not of what was opened
    assert read_parameters(shown[tab.view.results].files[0])["continued_from"]["action"] == "enlarge"


def test_opening_a_picture_takes_the_last_result_away(edit: EditTab, photo: str) -> None:
    updates = edit.show(photo, "tiny")
    before, after = updates[edit.view.slider]
    assert before == after
    assert pixels(before).shape == (SIDE, SIDE, 3)
    assert updates[edit.view.results] is None
    assert updates[edit.picture] == photo
    assert not updates[edit.view.variants]["visible"]
    assert not updates[edit.view.download]["interactive"]
    assert not updates[edit.view.go_on]["interactive"]


def test_shipped_faces_are_offered_and_open_for_checkpoints_that_know_them_alone(
    edit: EditTab, photo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert edit.thumbs.visible is False
    assert edit.picture.value is None
    cleared = edit._swap("tiny", edit.shipped[0])
    assert [cleared[part] for part in (edit.editor, edit.picture, edit.view.slider)] == [None] * 3
    assert cleared[edit.view.bar]["text"] == "Open a picture to begin."
    assert list(edit._swap("tiny", photo)) == list(edit._swap("tiny", None)) == [edit.thumbs]
    monkeypatch.setattr(edit.shelf.load("tiny"), "framing", "face")
    opened = edit._swap("tiny", None)
    assert opened[edit.picture] == edit.shipped[0]
    assert opened[edit.thumbs] == gr.update(visible=True)


def test_going_on_from_a_result_remembers_how_it_was_made(edit: EditTab, photo: str) -> None:
    first = edited(edit, photo)[edit.view.results]  # its files go with it
    again = edit._continue(first.files[0], "tiny")
    second = edited(edit, again[edit.picture], seed=9)[edit.view.results]
    parameters = read_parameters(second.files[0])
    assert (parameters["seed"], parameters["continued_from"]["seed"]) == (9, 6)


def test_what_cannot_be_done_is_reported(edit: EditTab, tmp_path: Path) -> None:
    (tmp_path / "letter.png").write_text("not a picture")
    with pytest.raises(Problem, match="no picture yet"):
        edited(edit, None)
    with pytest.raises(Problem, match="open it again"):  # the server was started anew, the page was not
        edited(edit, None, {"background": Image.new("RGB", (8, 8)), "layers": []})
    with pytest.raises(Problem, match="Strength should be less"):
        edited(edit, None, strength=2)
    with pytest.raises(Problem, match="no result yet"):
        edit._continue(None, "tiny")
    sentences: list[str] = []
    as_warning(edit.show, sentences.append, tell=lambda error: None)(str(tmp_path / "letter.png"), "tiny")
    assert "letter.png is not a picture" in sentences[0]


def test_a_photo_is_reported_to_be_cut_to_a_face_where_faces_are_known(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "face" not in _about(shelf.load("tiny"))
    monkeypatch.setattr(shelf.load("tiny"), "framing", "face")
    assert "cut to the face in it" in _about(shelf.load("tiny"))


def test_a_drawing_is_what_is_edited_and_what_is_not_drawn_on_stays_as_it_is(edit: EditTab, photo: str) -> None:
    opened = edit._draw(photo, "tiny")
    assert opened[edit.drawing] == gr.update(visible=True)
    background = Image.open(opened[edit.editor]["background"])
    strokes = Image.new("RGBA", background.size)
    half = background.width // 2
    strokes.paste((255, 0, 0, 255), (0, 0, half, background.height))
    canvas = {"background": background, "layers": [strokes], "composite": background}
    shown = edited(edit, photo, canvas)  # its files go with it
    before = pixels(shown[edit.view.slider][0])
    assert (before[:, : SIDE // 2] == (255, 0, 0)).all()
    assert np.array_equal(before[:, SIDE // 2 :], np.asarray(center_crop(open_picture(photo), SIDE))[:, SIDE // 2 :])

    other = {**canvas, "background": Image.new("RGB", background.size, "white")}
    with pytest.raises(Problem, match="The canvas shows another picture"):
        edited(edit, photo, other)


def test_a_canvas_can_be_blank_and_put_away(edit: EditTab) -> None:
    blank = edit._draw(None, "tiny")
    assert (pixels(blank[edit.editor]["background"]) == 255).all()
    shown = edited(edit, blank[edit.picture])  # its files go with it
    assert (pixels(shown[edit.view.slider][0]) == 255).all()
    away = edit._put_away(blank[edit.picture], "tiny")
    assert away[edit.drawing] == gr.update(visible=False)
    assert away[edit.editor]["layers"] == []
