"""Drafts: when a stroke is answered, when not, and that what can be taken away is what is shown."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio.context import LocalContext
from PIL import Image

from ddpm_core.images.files import read_parameters, save_png
from ddpm_core.requests import InpaintRequest
from ui.components import editor_canvas
from ui.components.progress import status
from ui.errors import Problem, without_warning
from ui.live_draft import DRAFT, Answer, InpaintTask
from ui.models import Shelf
from ui.tabs.inpaint import InpaintTab

FIELDS: dict[str, Any] = {
    "keep_painted": False, "seed": 1, "count": 1, "steps": 3, "sampler": "ddim", "clamp": "noised",
    "resamples": 4, "grow": 0, "feather": 0, "crop": "whole", "enlarge": True, "label": "", "guidance": 2,
    "classifier_guidance": 0, "prompt": "", "negative_prompt": "",
}  # fmt: skip


@pytest.fixture(scope="module")
def inpaint(shelf: Shelf) -> InpaintTab:
    """The tab, on a page nobody looks at."""
    with gr.Blocks():
        return InpaintTab(shelf, gr.Dropdown(["tiny"], value="tiny"))


PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8))


@pytest.fixture
def photo(tmp_path: Path) -> str:
    """A picture file."""
    PHOTO.save(tmp_path / "photo.png")
    return str(tmp_path / "photo.png")


def canvas(rows: slice = slice(20, 40), columns: slice = slice(20, 40), picture: Image.Image = PHOTO) -> dict[str, Any]:
    """What the editor hands over with a block painted on a picture of 80x60 pixels, or enlarged from it."""
    painted = np.zeros((60, 80), dtype=bool)
    painted[rows, columns] = True
    return editor_canvas.editor_value(picture, painted)


EMPTY = canvas(slice(0, 0))


def draft(
    tab: InpaintTab, photo: str | None, editor: Any, answered: Answer | None = None, live: bool = True, **fields: Any
) -> dict[Any, Any]:
    """What a draft leaves on the page: the last value of every output."""
    shown: dict[Any, Any] = {}
    for update in without_warning(tab._draft, lambda sentence: {tab.view.bar: status(sentence)})(
        live, answered, "tiny", photo, editor, *{**FIELDS, **fields}.values()
    ):
        shown |= update
    return shown


def test_the_controls_are_those_a_request_has(inpaint: InpaintTab) -> None:
    assert set(inpaint.fields) == set(FIELDS)


def test_a_stroke_is_answered_in_few_steps_and_can_be_taken_away(inpaint: InpaintTab, photo: str) -> None:
    shown = draft(inpaint, photo, canvas(), steps=150, count=4, sampler="ddpm")
    results = shown[inpaint.view.results]
    parameters = read_parameters(results.files[0])
    assert {name: parameters[name] for name in DRAFT} == DRAFT
    assert parameters["sampler"] == InpaintRequest().sampler
    assert shown[inpaint.view.slider] == results.pair(0)
    assert shown[inpaint.view.download]["value"] == results.files[0]
    assert shown[inpaint.done].request.steps == DRAFT["steps"]
    assert shown[inpaint.view.bar]["text"].startswith("Live draft in ")
    assert not shown[inpaint.view.variants]["visible"]
    assert inpaint.last not in shown  # "the last seed again" means the last run's
    made, original = (np.asarray(Image.open(path)) for path in (results.files[0], photo))
    changed = (made != original).any(2)
    assert changed[20:40, 20:40].mean() > 0.9
    assert not changed[:18].any()
    assert not changed[42:].any()


def test_drafts_are_made_by_the_checkpoints_own_sampler(
    inpaint: InpaintTab, photo: str, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf.load("tiny"), "defaults", {"inpaint": {"sampler": "heun"}})
    shown = draft(inpaint, photo, canvas(), sampler="ddpm")
    assert read_parameters(shown[inpaint.view.results].files[0])["sampler"] == "heun"


@pytest.mark.parametrize("case", ["off", "no picture", "nothing painted", "answered", "late"])
def test_without_anything_new_nothing_happens(
    inpaint: InpaintTab, photo: str, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = canvas(picture=Image.new("RGB", (80, 60), "teal"))  # reported before this picture was opened
    editor = {"nothing painted": EMPTY, "late": late}.get(case, canvas())
    answered = Answer.opened(photo, (80, 60), editor) if case == "answered" else None
    event = SimpleNamespace(calls=7)
    page = SimpleNamespace(_queue=SimpleNamespace(event_ids_to_events={"7": event}))
    monkeypatch.setattr(LocalContext, "blocks", SimpleNamespace(get=lambda default: page))
    monkeypatch.setattr(LocalContext, "event_id", SimpleNamespace(get=lambda default: "7"))
    shown = draft(inpaint, None if case == "no picture" else photo, editor, answered, live=case != "off")
    assert shown == {inpaint.view.bar: gr.skip()}
    assert event.calls == 0  # which the line and the log are to know


def test_an_answer_covers_finer_and_more_of_the_same_but_nothing_else(shelf: Shelf, photo: str, tmp_path: Path) -> None:
    def answer(editor: Any = None, path: str = photo, **fields: Any) -> Answer:
        return InpaintTask.of(shelf, "tiny", path, editor or canvas(), **FIELDS | fields).answer

    first = answer()
    assert first.covers(answer(steps=50, count=3, sampler="ddpm"))
    other = tmp_path / "other.png"
    Image.open(photo).save(other)
    for different in (
        answer(seed=2), answer(keep_painted=True), answer(grow=3), answer(feather=3), answer(crop="painted"),
        answer(canvas(slice(20, 41))), answer(path=str(other)),
    ):  # fmt: skip
        assert not first.covers(different)
    opened = Answer.opened(photo, (80, 60), canvas())
    assert opened.covers(first)
    assert opened.covers(answer(seed=2))  # before the visitor has painted, a new seed asks for nothing yet
    assert not opened.covers(answer(canvas(slice(20, 41))))


def test_a_draft_that_cannot_be_made_says_so_in_the_bar_and_no_louder(
    inpaint: InpaintTab, photo: str, recwarn: pytest.WarningsRecorder
) -> None:
    everything = canvas(slice(None), slice(None))
    for sentence, shown in [
        ("Everything is painted", draft(inpaint, photo, everything)),
        ("seed is empty", draft(inpaint, photo, canvas(), seed=None)),
        ("narrow it less", draft(inpaint, photo, canvas(), grow=-50)),
    ]:
        assert sentence in shown[inpaint.view.bar]["text"]
        assert inpaint.view.slider not in shown
    assert not [one for one in recwarn if "painted" in str(one.message)]


@pytest.mark.parametrize(("editor", "said"), [(None, "no picture yet"), (canvas(), "open it again")])
def test_a_canvas_whose_picture_the_server_has_forgotten_is_not_called_empty(
    shelf: Shelf, editor: dict[str, Any] | None, said: str
) -> None:
    with pytest.raises(Problem, match=said):
        InpaintTask.of(shelf, "tiny", None, editor, **FIELDS)


def test_a_large_upload_is_shown_before_its_file_is_written(inpaint: InpaintTab, tmp_path: Path) -> None:
    large = Image.new("RGB", (1600, 1200), "teal")
    large.save(tmp_path / "large.png")
    given = ("tiny", str(tmp_path / "large.png"), canvas(picture=large), *FIELDS.values())
    _, first, second = list(inpaint._draft(True, None, *given))
    assert max(Image.open(first[inpaint.view.slider][1]).size) < 1600
    assert not first[inpaint.view.download]["interactive"]
    assert not first[inpaint.to_process]["interactive"]
    assert second[inpaint.view.download]["interactive"]
    assert Image.open(second[inpaint.view.results].files[0]).size == (1600, 1200)


def test_continuing_opens_the_result_and_remembers_how_it_was_made(inpaint: InpaintTab, photo: str) -> None:
    first = draft(inpaint, photo, canvas(), seed=7)[inpaint.view.results]
    opened = inpaint._continue(first.files[0])
    editor, path, answered = (opened[part] for part in (inpaint.editor, inpaint.picture, inpaint.answered))
    assert not editor_canvas.painted_on(editor, (80, 60)).any()
    stroke = canvas(slice(45, 55), picture=Image.open(path))
    second = draft(inpaint, path, stroke, answered, seed=8)[inpaint.view.results]
    parameters = read_parameters(second.files[0])
    assert (parameters["seed"], parameters["continued_from"]["seed"]) == (8, 7)
    kept = (np.asarray(Image.open(second.files[0])) == np.asarray(Image.open(first.files[0]))).all(2)
    assert kept[:43].all()


def test_what_other_programs_wrote_into_a_picture_is_not_passed_on(inpaint: InpaintTab, tmp_path: Path) -> None:
    save_png(PHOTO, tmp_path / "photo.png", {"model": "another program's"})
    results = draft(inpaint, str(tmp_path / "photo.png"), canvas())[inpaint.view.results]
    assert "continued_from" not in read_parameters(results.files[0])
