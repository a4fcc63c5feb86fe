"""The Train tab without a browser: what it shows, and that those who may not train are refused by the server."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from gradio_client import Client
from PIL import Image

from ddpm_core.images.files import open_picture
from ddpm_core.training.presets import PRESETS
from tests.ui.test_serving import Page
from ui.errors import Problem
from ui.models import Shelf
from ui.page import build, launch_settings
from ui.tabs import train
from ui.tabs.train import PageState, TrainTab
from ui.training.runs import Audience, Trainings
from ui.training.settings_form import place_settings

pytestmark = pytest.mark.integration

FAKE = (sys.executable, str(Path(__file__).parents[1] / "fake_training.py"))
PATIENCE = 300
HERE: Any = SimpleNamespace(headers={"host": "127.0.0.1:7860"})
THROUGH_A_PROXY: Any = SimpleNamespace(headers={"host": "127.0.0.1:7860", "x-forwarded-for": "10.0.0.5"})
with gr.Blocks():
    PLACES = list(place_settings([], "tiny"))
# Preset, iterations, pictures per step, and of the settings only `about`, which is what the stand-in is to do.
VALUES = ["tiny", "3", "", *("wait" if place == "about" else "" for place in PLACES)]


@pytest.fixture
def own_shelf(own_checkpoint: Path) -> Shelf:
    """A shelf on which checkpoints may be put."""
    return Shelf.around(own_checkpoint, "cpu")


def placed(shelf: Shelf, open_to: Audience) -> TrainTab:
    with gr.Blocks():
        checkpoint = gr.Dropdown(["own"], value="own")
        return TrainTab(shelf, checkpoint, Trainings(shelf.root, "cpu", open_to, FAKE))


@pytest.fixture
def tab(own_shelf: Shelf) -> Iterator[TrainTab]:
    """The tab, on a page nobody looks at, of an app that is open to whoever is here."""
    made = placed(own_shelf, "here")
    yield made
    made.trainings.close()


def test_something_stands_there_at_the_first_visit(tab: TrainTab, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tab.grid.value is not None
    assert "the shipped digits" in tab.caption.value
    shown = tab.refresh(HERE, PageState())
    assert tab.bar not in shown  # nothing goes on, so nothing changes
    assert shown[tab.again]["visible"] is False
    assert set(tab.refresh(HERE, shown[tab.page_state])) == {tab.page_state}
    monkeypatch.setattr(train, "EXAMPLE", Path("nosuch.png"))
    assert placed(tab.shelf, "here").grid.value is None


def test_what_is_not_typed_is_left_to_the_preset(tab: TrainTab) -> None:
    boxes = [*tab.both.values(), *tab.form.values()]
    assert {box.value or "" for box in boxes} == {""}
    assert all("as in the preset" in box.placeholder for box in tab.both.values())  # type: ignore[attr-defined]


def test_a_checkpoint_to_start_from_is_one_of_the_shelf(tab: TrainTab, tmp_path: Path) -> None:
    fields = dict(zip(["iterations", "batch_size", *PLACES], VALUES[1:], strict=True))
    for stranger in ("../own", str(tab.shelf.root / "own"), "nosuch"):
        with pytest.raises(Problem, match="no checkpoint"):
            tab._start(HERE, PageState(), "mine", None, str(tmp_path), "tiny", *(fields | {"init": stranger}).values())
    asked = fields | {"init": "own", "denoiser.dropout": "0.25", "flips": "false"}
    tab._start(HERE, PageState(), "mine", None, str(tmp_path), "tiny", *asked.values())
    assert tab.trainings.run is not None
    request = tab.trainings.run.request
    assert request.init == tab.shelf.root / "own"
    assert request.denoiser.channels == (32, 64)  # as the checkpoint's are
    assert (request.denoiser.dropout, request.flips) == (0.25, False)
    arguments = tab.trainings.run.process.args
    assert f"--init={tab.shelf.root / 'own'}" in arguments  # type: ignore[operator]
    assert {"--denoiser-dropout=0.25", "--no-flips"} < set(arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_described(preset: str) -> None:
    assert f"{PRESETS[preset].get('size', 128)} pixels" in train._about(preset)


def test_a_run_is_shown_to_every_page_from_where_it_is(tab: TrainTab, tmp_path: Path) -> None:
    shown = tab._start(HERE, PageState(), "mine", None, str(tmp_path), *VALUES)
    assert (shown[tab.control.run]["visible"], shown[tab.control.stop]["visible"]) == (False, True)
    assert shown[tab.timer].active
    page_state = shown[tab.page_state]
    until = time.monotonic() + PATIENCE
    # Until it has taken its step; its grid may come in an earlier look.
    while page_state.grid is None or page_state.row_count < 1:
        assert time.monotonic() < until
        shown |= tab.refresh(HERE, page_state)
        page_state = shown[tab.page_state]
    assert "Autoencoder after 1 steps" in shown[tab.caption]
    assert set(tab.refresh(HERE, page_state)) == {tab.page_state, tab.bar}  # what is there already is not sent again

    another = tab.refresh(HERE, PageState())  # a page that has just been opened
    assert another[tab.control.stop]["visible"]
    assert another[tab.timer].active
    drawn = another[tab.losses.by_stage["vae"]]
    assert drawn["visible"]
    assert drawn["value"].to_dict("list") == {"step": [1.0], "loss": [1.0], "of": ["training"]}
    assert another[tab.losses.by_stage["denoiser"]]["visible"] is False

    assert tab._stop(HERE, page_state)[tab.control.stop]["interactive"] is False
    assert tab.trainings.run is not None
    assert tab.trainings.run.wait(PATIENCE)
    shown = tab.refresh(HERE, page_state)
    assert (shown[tab.control.run]["visible"], shown[tab.timer].active) == (True, False)
    assert (shown[tab.again]["visible"], shown[tab.unfinished]["value"]) == (True, "mine")
    with pytest.raises(Problem, match="no trained checkpoint yet"):
        tab.trained_name()

    tab._resume(HERE, page_state, "mine")
    assert tab.trainings.run.wait(PATIENCE)
    shown = tab.refresh(HERE, page_state)
    assert shown[tab.checkpoint]["choices"] == ["mine", "own"]
    assert shown[tab.use]["visible"]
    assert tab.trained_name() == "mine"
    assert shown[tab.losses.by_stage["denoiser"]]["value"]["of"].tolist() == ["training"] * 3 + ["held out"] * 4

    shutil.rmtree(tab.shelf.root / "mine")
    assert tab.bar not in tab.refresh(HERE, PageState())  # somebody has deleted it: a new page does not speak of it


def test_plots_of_the_run_are_shown_and_anew_when_they_are_drawn_anew(tab: TrainTab, tmp_path: Path) -> None:
    shown = tab._start(HERE, PageState(), "mine", None, str(tmp_path), *VALUES)
    assert shown[tab.record]["visible"] is False
    assert tab.trainings.run is not None
    tab._stop(HERE, shown[tab.page_state])
    assert tab.trainings.run.wait(PATIENCE)
    notes = tab.trainings.run.log.folder
    for plot in notes.glob("*.png"):
        plot.unlink()
    page_state = tab.refresh(HERE, shown[tab.page_state])[tab.page_state]
    for level, name in ((40, "loss-denoiser.png"), (80, "loss-vae.png")):
        Image.new("RGB", (8, 8), (level, 0, 0)).save(notes / name)
    shown = tab.refresh(HERE, page_state)
    assert shown[tab.record]["visible"]
    assert [open_picture(Path(path)).getpixel((0, 0))[0] for path in shown[tab.pictures]] == [80, 40]
    assert tab.record not in tab.refresh(HERE, shown[tab.page_state])
    (notes / "loss-vae.png").write_bytes(b"being written")
    os.utime(notes / "loss-vae.png", ns=(1, 1))
    assert tab.record not in tab.refresh(HERE, shown[tab.page_state])


def test_what_was_found_in_the_data_is_shown(tab: TrainTab, tmp_path: Path) -> None:
    shown = tab._start(HERE, PageState(), "mine", None, str(tmp_path), *VALUES)
    run = tab.trainings.run
    assert run is not None
    (run.log.folder / "data.txt").write_text("4 pictures to train on, 0 held out.\nNot used: 2 .<b>.\n", "utf-8")
    shown = tab.refresh(HERE, shown[tab.page_state])
    assert "4 pictures to train on" in shown[tab.data]
    assert "2 .&lt;b&gt;" in shown[tab.data]
    assert tab.data not in tab.refresh(HERE, shown[tab.page_state])


def test_the_next_run_does_not_show_the_last_ones_pictures(tab: TrainTab, tmp_path: Path) -> None:
    long = [VALUES[0], "1000", *VALUES[2:]]  # has no grid of its own yet
    shown = tab._start(
        HERE, PageState("another", "finished", 6, tmp_path / "grid.png"), "mine", None, str(tmp_path), *long
    )
    assert shown[tab.grid] == tab.example
    assert shown[tab.losses.by_stage["vae"]] == gr.update(value=None, visible=False)


def test_a_grid_that_is_being_written_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "vae-000001.png").write_bytes(b"\x89PNG\r\n")
    assert train._readable(tmp_path / "vae-000001.png") is None


def test_pictures_come_from_one_place(tab: TrainTab, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="take one of them away"):
        tab._start(HERE, PageState(), "mine", ["a.zip"], str(tmp_path), *VALUES)
    for nothing in (" ", "", None):
        with pytest.raises(Problem, match="Choose pictures first"):
            tab._start(HERE, PageState(), "mine", None, nothing, *VALUES)


def test_folders_of_the_machine_are_for_those_who_are_at_it(own_shelf: Shelf, tmp_path: Path) -> None:
    tab = placed(own_shelf, "everybody")
    assert tab.open.visible
    assert not tab.path.visible
    with pytest.raises(Problem, match="upload pictures"):
        tab._start(THROUGH_A_PROXY, PageState(), "mine", None, str(tmp_path), *VALUES)


@pytest.mark.parametrize(("open_to", "who"), [("nobody", HERE), ("here", THROUGH_A_PROXY)])
def test_those_who_may_not_train_are_refused_and_see_nothing(
    own_shelf: Shelf, tmp_path: Path, open_to: Audience, who: Any
) -> None:
    tab = placed(own_shelf, open_to)
    assert tab.open.visible is (open_to != "nobody")
    for refused in (
        lambda: tab._start(who, PageState(), "mine", None, str(tmp_path), *VALUES),
        lambda: tab._stop(who, PageState()),
        lambda: tab._resume(who, PageState(), "mine"),
    ):
        with pytest.raises(Problem, match="--allow-training"):
            refused()
    shown = tab.refresh(who, PageState())
    assert set(shown) == {tab.closed, tab.open}
    assert (shown[tab.closed]["visible"], shown[tab.open]["visible"]) == (True, False)
    assert "--allow-training" in tab.closed.value
    assert sorted(path.name for path in own_shelf.root.iterdir()) == ["own"]


def test_an_app_is_closed_by_default_and_the_server_refuses(client: Client, shelf: Shelf, tmp_path: Path) -> None:
    answer = Page(str(client.src)).press("_start", None, "mine", None, str(tmp_path), *VALUES)
    assert "--allow-training" in str(answer)
    assert not (shelf.root / "mine").exists()


def test_an_open_app_trains_by_the_same_call(own_shelf: Shelf, tmp_path: Path) -> None:
    with Trainings(own_shelf.root, "cpu", "here", FAKE) as trainings:
        page = build(own_shelf, trainings)
        _, address, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, **launch_settings())
        visitor = Page(str(address))
        visitor.http.headers["x-forwarded-for"] = "10.0.0.5"
        assert "--allow-training" in str(visitor.press("_start", None, "mine", None, str(tmp_path), *VALUES))
        assert trainings.run is None
        del visitor.http.headers["x-forwarded-for"]
        visitor.press("_start", None, "mine", None, str(tmp_path), *VALUES)
        assert trainings.run is not None
        assert trainings.run.name == "mine"
        visitor.press("_stop", None)
        assert trainings.run.wait(PATIENCE)
        page.close()


def test_a_look_that_fails_is_reported_as_a_warning(own_shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def refresh(tab: TrainTab, request: gr.Request, page_state: PageState) -> None:
        raise IndexError

    monkeypatch.setattr(TrainTab, "refresh", refresh)
    looks = [each.fn for each in build(own_shelf).fns.values() if getattr(each.fn, "__name__", "") == "refresh"]
    assert len(looks) == 2  # when the tab is opened, and from time to time
    for each in looks:
        assert each is not None
        with pytest.warns(UserWarning, match="Something went wrong here"):
            each(HERE, PageState())


def test_no_program_is_offered_to_train(client: Client) -> None:
    named = client.view_api(return_format="dict")["named_endpoints"]
    assert {name for name in named if not name.startswith("/inside_")} == {
        "/generate", "/inpaint", "/process", "/edit", "/between", "/anagram", "/enlarge", "/hybrid", "/checkpoints",
    }  # fmt: skip
