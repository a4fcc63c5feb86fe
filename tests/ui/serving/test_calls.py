"""What browsers and programs are told of the page, and calls whose values are no values of the page's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio.state_holder import SessionState
from gradio_client import Client
from PIL import Image

from ddpm_core.checkpoints import native as checkpoint
from tests.ui.test_serving import Page as VisitorsPage
from ui import examples
from ui.components.editor_canvas import canvas_size
from ui.models import Shelf
from ui.page import build, launch_settings
from ui.serving.calls import Page


def test_a_session_keeps_no_copy_of_the_page() -> None:
    with Page() as page:
        asked = gr.Number()
        asked.change(lambda number: number + 1, asked, asked)
    state = SessionState(page)
    assert state.config_values
    for given in (3, 5):
        answer = asyncio.run(page.process_api(page.fns[0], inputs=[given], state=state))
        assert answer["data"] == [given + 1]
        assert not state.config_values
    refused = SessionState(page)
    with pytest.raises(gr.Error):
        asyncio.run(page.process_api(page.fns[0], inputs=["three", 4], state=refused))
    assert not refused.config_values


@pytest.mark.parametrize(("typed", "taken"), [(7, 7), (99999, 999), (-3, 1), (0, 1), (None, 1), (2.5, 2.5), (True, 1)])
def test_a_number_that_is_still_being_typed_into_a_slider_is_no_mistake(typed: float | None, taken: float) -> None:
    """*Look inside* draws while one types: of 1200 on the way to 120, or of nothing, Gradio made an error."""
    with Page() as page:
        slider, shown = gr.Slider(1, 100), gr.Number()
        slider.change(lambda value: value, slider, shown)
    state = SessionState(page)
    state[slider._id] = gr.Slider(1, 999, render=False)  # as a handler may have changed it since
    answer = asyncio.run(page.process_api(page.fns[0], inputs=[typed], state=state))
    assert answer["data"] == [taken]
    with pytest.raises(gr.Error):
        asyncio.run(page.process_api(page.fns[0], inputs=["many"], state=state))


@pytest.mark.parametrize(
    "data",
    [
        [], [None] * 50, [{"path": None}], [{"path": 5, "meta": {"_type": "gradio.FileData"}}] + [0.6] * 11,
        ["x", "y", [1], {}, None, 5, 5, 5, 5, 5, 5], [{"meta": 1}] * 11,
    ],
)  # fmt: skip
def test_values_that_do_not_fit_are_told_in_a_sentence(
    client: Client, capfd: pytest.CaptureFixture[str], data: list[Any]
) -> None:
    with httpx.Client(base_url=client.src, timeout=60, trust_env=False) as http:
        event = http.post("/gradio_api/call/edit", json={"data": data}).json()["event_id"]
        told = http.get(f"/gradio_api/call/edit/{event}").text
    assert told.startswith("event: error")
    assert told.rstrip().endswith('."}') or '", "' in told
    assert "null" not in told
    assert "Traceback" not in told + capfd.readouterr().err


def test_browsers_build_nothing_that_only_programs_use(client: Client) -> None:
    with httpx.Client(base_url=client.src, timeout=60, trust_env=False) as http:
        html, told = http.get("/").text, http.get("/config").json()
    _, _, rest = html.partition("window.gradio_config = ")
    shown, _ = json.JSONDecoder().raw_decode(rest)
    assert [one["id"] for one in shown["dependencies"]] == [one["id"] for one in told["dependencies"]]
    endpoints = [one for one in told["dependencies"] if one["api_visibility"] == "public"]
    of_programs = {id for one in endpoints for id in one["inputs"] + one["outputs"]}
    kinds = {one["id"]: one["type"] for one in told["components"]}
    seen, placed = {one["id"] for one in shown["components"]}, set(ids(shown["layout"]))
    assert len(endpoints) > 10
    assert of_programs <= kinds.keys()
    assert {kinds[id] for id in of_programs & (seen | placed)} <= {"api"}  # of /checkpoints, which needs no layout
    assert placed - {shown["layout"]["id"]} == seen
    assert len(told["components"]) - len(seen) > len(of_programs) / 2


def ids(branch: dict[str, Any]) -> list[int]:
    """Of a branch of the layout and all that is in it."""
    return [branch["id"], *(id for child in branch.get("children", ()) for id in ids(child))]


@pytest.fixture
def page_of_faces(own_checkpoint: Path) -> Iterator[str]:
    """The address of a page that opens with the shipped face, as for a checkpoint that knows faces."""
    config = checkpoint.read_config(own_checkpoint).model_copy(update={"framing": "face"})
    checkpoint.write_config(own_checkpoint, config)
    studio = build(Shelf.around(own_checkpoint, "cpu"))
    _, address, _ = studio.launch(server_name="127.0.0.1", prevent_thread_lock=True, **launch_settings())
    yield address
    studio.close()


@pytest.mark.integration
def test_which_picture_is_open_is_the_servers_to_know_and_not_told_to_anybody(
    page_of_faces: str, tmp_path: Path
) -> None:
    visitor = VisitorsPage(page_of_faces)
    Image.new("RGB", (33, 44)).save(tmp_path / "private.png")
    (canvas,) = visitor.press("paint", str(tmp_path / "private.png"))  # a ready-made mask on what is open
    with Image.open(canvas["background"]["path"]) as shown, Image.open(examples.faces()[0]) as opened:
        assert shown.size == canvas_size(opened.size) != canvas_size((33, 44))
    told = visitor.http.get("/config").json()["components"]
    states = [one["props"] for one in told if one["type"] == "state" and "Api" not in str(one)]
    assert states
    assert not any("value" in one for one in states)
    assert not any(str(examples.FOLDER) in json.dumps(one) for one in told)
