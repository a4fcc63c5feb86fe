"""The tab without a browser: what its handlers leave on the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from ddpm_core.errors import UserError
from ddpm_core.images.files import PictureError
from ui import examples
from ui.errors import Problem
from ui.models import Shelf
from ui.tabs.inside.tab import InsideTab, Wanted, _choose, _guided, _own, _while_wanted
from ui.tabs.inside.tour import TOUR, Stop
from ui.tabs.inside.view import WAITING
from ui.tabs.inside.views import VIEWS


@pytest.fixture(scope="module")
def tab(shelf: Shelf) -> InsideTab:
    """The tab, on a page nobody looks at."""
    with gr.Blocks(), gr.Tabs(), gr.Tab("Look inside") as opened:
        return InsideTab(shelf, gr.Dropdown(["tiny"], value="tiny"), opened)


def shown(tab: InsideTab, view: str, picture: str | None = None, seed: Any = 3, **fields: Any) -> dict[Any, Any]:
    """What the tab puts on the page with a view chosen, its controls as they are at first but for `fields`."""
    values = [
        fields.get(field, control.value) if name == view else control.value
        for name, part in tab.parts.items()
        for field, control in part.controls.items()
    ]
    updates: dict[Any, Any] = {}
    for update in tab._draw(view, "tiny", picture, seed, *values):
        updates |= update
    return updates


def test_the_chosen_view_alone_is_drawn_and_can_be_taken_away(tab: InsideTab) -> None:
    for name, part in tab.parts.items():
        updates = shown(tab, name)
        assert set(updates) == {part.stage, part.download}
        assert Path(updates[part.download]["value"]).suffix in {".png", ".gif"}
        assert updates[part.download]["interactive"]


def test_nothing_is_taken_away_before_it_is_there(tab: InsideTab) -> None:
    for name in ("noise", "clamp"):
        part = tab.parts[name]
        assert not part.download.interactive
        given = [control.value for control in part.controls.values()]
        *others, last = tab._draw_one(part, "tiny", None, 3, *given)
        assert [update[part.download]["interactive"] for update in others] == [False] * len(others)
        assert last[part.download]["interactive"]


def test_the_controls_of_the_view_are_heard(tab: InsideTab) -> None:
    part = tab.parts["noise"]
    early, late = (shown(tab, "noise", t=t)[part.stage] for t in (10, 900))
    assert early != late
    assert next(iter(tab._draw_one(part, "tiny", None, 3, 900, "checkpoint")))[part.stage] == late
    with pytest.raises(Problem, match="T should be less"):
        shown(tab, "noise", t=5000)
    with pytest.raises(Problem, match="seed is empty"):
        shown(tab, "noise", seed=None)


def test_a_stage_says_why_one_waits_and_why_nothing_is_drawn(tab: InsideTab) -> None:
    for part in tab.parts.values():
        assert WAITING in str(part.stage.value)
    part = tab.parts["paths"]
    values = [99 if name == "row" else control.value for name, control in part.controls.items()]
    answers = tab._draw_one(part, "tiny", None, 3, *values)
    assert "there is no cell in row 99" in next(answers)[part.stage]
    with pytest.raises(UserError, match="no cell in row 99"):
        next(answers)  # which becomes a notice


def test_a_field_that_nobody_has_drawn_on_yet_is_no_mistake(tab: InsideTab) -> None:
    updates = shown(tab, "points", shape="drawn")  # and nothing is refused
    part = tab.parts["points"]
    assert set(updates) == {part.stage, part.download}
    assert not updates[part.download]["interactive"]  # nor is what was drawn before taken away in its place


def test_one_looks_into_ones_own_picture_and_the_shipped_faces_are_for_models_of_faces(
    tab: InsideTab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.effect_noise((60, 40), 60).convert("RGB").save(tmp_path / "own.png")
    stage = tab.parts["noise"].stage
    of_the_seed, own = shown(tab, "noise")[stage], shown(tab, "noise", str(tmp_path / "own.png"))[stage]
    assert own != of_the_seed
    face = str(examples.faces()[0])
    assert shown(tab, "noise", face)[stage] == of_the_seed
    monkeypatch.setattr(tab.shelf.load("tiny"), "framing", "face")
    assert shown(tab, "noise", face)[stage] != of_the_seed


@pytest.mark.parametrize(
    ("view", "fields", "first"),
    [
        ("clamp", {"steps": 4}, "clean clamp: call 1 of 4"),
        ("likelihood", {"steps": 2}, "Step 0 of 2: followed to state 1."),
        ("compare", {"across": "steps", "across_values": "1, 2", "down": "none"}, "Making 2 pictures"),
    ],
)
def test_what_takes_seconds_shows_at_once_how_far_it_is_and_then_what_is_drawn(
    tab: InsideTab, view: str, fields: dict[str, Any], first: str
) -> None:
    part = tab.parts[view]
    given = [fields.get(field, control.value) for field, control in part.controls.items()]
    sketch, *_, drawn, _ = (update.get(part.stage, "") for update in tab._draw_one(part, "tiny", None, 4, *given))
    assert first in sketch
    assert first not in drawn
    request = part.view.request(seed=4, **dict(zip(part.controls, given, strict=True)))
    model = tab.shelf.load("tiny")
    assert drawn == part.view.draw(model, tab._subject(part.view, model, None, 4), request).shown


def test_an_upload_that_is_no_picture_takes_the_place_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(PictureError, match="is not a picture"):
        _own(str(tmp_path / "broken.png"))
    Image.new("RGB", (4, 4)).save(tmp_path / "own.png")
    assert _own(str(tmp_path / "own.png")) == str(tmp_path / "own.png")


def test_choosing_shows_one_view_and_the_picture_where_the_view_is_about_one() -> None:
    for name, view in VIEWS.items():
        about, *columns = _choose(name)
        assert about["visible"] == view.of_a_picture
        assert [column["visible"] for column in columns] == [each == name for each in VIEWS]


def test_what_is_pressed_on_the_stage_sets_controls(tab: InsideTab) -> None:
    part = tab.parts["noise"]
    assert part.pressed(gr.EventData(None, {"t": 7, "nosuch": 1})) == [7, gr.skip()]
    assert part.pressed(gr.EventData(None, None)) == [gr.skip(), gr.skip()]


def test_a_stop_of_the_tour_chooses_its_view_and_says_its_text() -> None:
    view, guide, t = _guided(Stop("Why?", "noise", {"t": 5}, "So."))
    assert (view, t, guide["visible"]) == ("noise", 5, True)
    assert "Why?" in guide["value"]
    assert "So." in guide["value"]


def test_a_stop_leads_to_the_next_one_and_the_last_to_none() -> None:
    texts = [_guided(stop)[1]["value"] for stop in TOUR]
    for text, following in zip(texts, TOUR[1:], strict=False):
        assert f'<a href="#inside-tour-{following.view}" data-press>{following.question}</a>' in text
    assert "<a" not in texts[-1]


def test_who_chooses_another_view_by_hand_has_left_the_tour(tab: InsideTab) -> None:
    page: Any = tab.chooser
    while page.parent is not None:
        page = page.parent
    (leaves,) = (fn for fn in page.fns.values() if (tab.chooser._id, "input") in fn.targets)
    assert leaves.outputs == [tab.guide]
    assert leaves.fn()["visible"] is False


def test_what_is_typed_is_heard_when_it_is_finished_and_a_slider_at_once(shelf: Shelf) -> None:
    with gr.Blocks() as page:
        tab = InsideTab(shelf, gr.Dropdown(["tiny"], value="tiny"), gr.Tab("Look inside"))
    compare = tab.parts["compare"].controls
    heard = {(component, event) for one in page.fns.values() for component, event in one.targets}
    assert {(compare["across_values"]._id, "submit"), (compare["across_values"]._id, "blur")} <= heard
    assert (compare["across_values"]._id, "change") not in heard
    assert (tab.parts["paths"].controls["row"]._id, "change") in heard
    clamp = tab.parts["clamp"].controls
    (gives_up,) = (one for one in page.fns.values() if one.inputs == [tab.wanted])
    asks_for_another = {component for component, _ in gives_up.targets}
    assert {tab.chooser._id, clamp["steps"]._id} <= asks_for_another
    assert clamp["at"]._id not in asks_for_another
    draws = [one for one in page.fns.values() if tab.parts["clamp"].stage in one.outputs]
    assert all(one.inputs[0] is tab.wanted for one in draws)
    assert all(gives_up._id < one._id for one in draws)  # or it would end what begins while one of them is handled
    assert not any(one.cancels for one in [gives_up, *draws])  # after which a browser forgets what it has put off


def test_a_drawing_ends_when_another_is_wanted() -> None:
    wanted, made = Wanted(), []

    def draw(steps: int) -> Iterator[dict[Any, Any]]:
        for i in range(steps):
            made.append(i)
            yield {"step": i}

    drawn = _while_wanted(draw)
    assert [one["step"] for one in drawn(wanted, 3)] == [0, 1, 2]
    under_way = drawn(wanted, 9)
    assert next(under_way) == {"step": 0}
    wanted.another()
    assert list(under_way) == []
    assert made == [0, 1, 2, 0]  # nothing is made for nobody
    assert next(drawn(wanted, 1)) == {"step": 0}
