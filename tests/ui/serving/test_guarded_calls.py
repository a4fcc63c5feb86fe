"""Calls, routes and names that the server refuses, of the app as it is launched."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gradio.utils import get_upload_folder
from starlette.routing import Route

from tests.ui.serving.over_http import assert_refused, png, upload
from ui.models import Shelf
from ui.page import launch_settings
from ui.serving import guard


def test_large_deep_and_broken_calls_are_refused_in_a_sentence(http: httpx.Client) -> None:
    long = {"data": ["x" * 10 * 2**20]}
    assert_refused(http.post("/gradio_api/call/generate", json=long), 413, "1 MB")
    for body in (
        b"{",
        b"[" * 10_000 + b"]" * 10_000,
        b'{"data": ' + b"[" * 40 + b"]" * 40 + b"}",
        b"\xff\xfe",
        b"<x/>",
    ):
        assert_refused(http.post("/gradio_api/call/generate", content=body), 400, "not JSON")


@pytest.mark.parametrize("told", [True, False])
def test_many_files_are_too_large_together(
    http: httpx.Client, told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    form = {"component_id": "0", "fn_name": "accept_blobs", "session_hash": "x"}
    request = http.build_request(
        "POST", "/gradio_api/component_server", data=form, files=[("x", b"x" * 2**20) for _ in range(17)]
    )
    if not told:  # in pieces, without its length
        whole = request.read()
        pieces = (whole[at : at + 2**20] for at in range(0, len(whole), 2**20))
        kind = {"Content-Type": request.headers["content-type"]}
        request = http.build_request("POST", "/gradio_api/component_server", content=pieces, headers=kind)
    answer = http.send(request)
    assert answer.status_code == 413
    assert "16 MB" in answer.json()["detail"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("call", ["upload", "component_server"])
def test_of_an_upload_that_breaks_off_nothing_stays(
    http: httpx.Client, call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(get_upload_folder()) if call == "upload" else tmp_path
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = set(folder.glob("tmp*"))

    def half() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n' + b"0" * 10**6
        while not any(file.stat().st_size for file in set(folder.glob("tmp*")) - before):
            time.sleep(0.01)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        http.post(f"/gradio_api/{call}", content=half(), headers={"content-type": "multipart/form-data; boundary=x"})
    until = time.monotonic() + 60
    while set(folder.glob("tmp*")) - before and time.monotonic() < until:
        time.sleep(0.01)
    assert set(folder.glob("tmp*")) == before


@pytest.mark.parametrize("call", ["call/nothing", "call/v2/nothing", "queue/join", "component_server"])
def test_what_gradio_stumbles_over_is_answered_in_a_sentence(http: httpx.Client, call: str) -> None:
    data = {"data": [], "fn_index": 10**6, "session_hash": "x", "component_id": -1, "fn_name": "__init__"}
    answer = http.post(f"/gradio_api/{call}", json=data)
    assert 400 <= answer.status_code <= 500
    assert isinstance(answer.json()["detail"], str)
    assert "Traceback" not in answer.text


def test_what_the_page_does_not_use_is_not_there(http: httpx.Client) -> None:
    for path in ("gradio_api/deep_link?session_hash=x", "gradio_api/dev/reload", "monitoring", "gradio_api/vibe-code"):
        assert_refused(http.get(f"/{path}"), 404, "nothing here")
    assert_refused(http.post("/gradio_api/process_recording"), 404, "nothing here")


# What Gradio has and the page, or programs, need. A route that a new version adds is to be looked at.
NEEDED = re.compile(
    r"/|/login/?|/logout|/config/?|/static/.*|/assets/.*|/svelte/.*|/favicon.ico|/theme.css|/robots.txt|/manifest.json|"
    r"/pwa_icon.*|/gradio_api/(user/?|login_check/?|app_id/?|runs/?|info/?|openapi.json|file=.*|reset/?|heartbeat/.*|"
    r"run/.*|api/.*|call/.*|queue/(join|data|status)|cancel|component_server/?|upload|upload_progress|startup-events|"
    r"theme.css)"
)


def test_every_route_of_gradio_is_needed_or_refused(shelf: Shelf) -> None:
    from gradio.routes import App

    from ui.page import build

    app = App.create_app(build(shelf), app_kwargs=launch_settings()["app_kwargs"])
    for route in app.routes:
        if isinstance(route, Route) and route.endpoint.__module__.startswith("gradio"):
            path = re.sub(r"\{(\w+)(:path)?\}", r"\1", route.path)
            if not NEEDED.fullmatch(path):
                with pytest.raises(guard.Refused):
                    guard.refuse_path(path)


# Names


def test_names_that_are_paths_or_scripts_are_only_names(http: httpx.Client, tmp_path: Path) -> None:
    content = png(tmp_path / "photo.png")
    cache = Path(get_upload_folder()).resolve()
    names = [
        "../../../x.png", "/etc/x.png", "..\\..\\x.png", "<img src=x onerror=alert(1)>.png", "a\u202egnp.exe", "...",
        "CON.png", "\ufeff.png", "x" * 300 + ".png", "%2e%2e%2fx.png",
    ]  # fmt: skip
    for name in names:
        answer = http.post("/gradio_api/upload", files={"files": (name, content)})
        assert answer.status_code in (200, 400, 500), name
        if answer.status_code == 200:
            (path,) = answer.json()
            assert Path(path).resolve().parent.parent == cache, name
            assert not set(Path(path).name) & set("<>"), name
        else:
            assert "Traceback" not in answer.text


def test_a_picture_by_a_name_of_markup_is_told_without_it(http: httpx.Client) -> None:
    path = upload(http, "<script>x.png", b"no picture")
    call = {"picture": {"path": path, "meta": {"_type": "gradio.FileData"}}}
    event = http.post("/gradio_api/call/v2/edit", json=call).json()["event_id"]
    told = http.get(f"/gradio_api/call/edit/{event}").text
    assert "is not a picture that can be read" in told
    assert "<" not in told


def test_a_stream_that_has_no_answer_to_come_is_refused_at_once(http: httpx.Client) -> None:
    """Gradio lets whoever asks for an answer that was fetched wait for good."""
    asked = {"data": [1], "session_hash": "somebody"}
    event = http.post("/gradio_api/call/generate", json=asked).json()["event_id"]
    at = f"/gradio_api/call/generate/{event}"
    assert "event: error" in http.get(at).text  # for it takes more than a number
    for address in (at, f"/gradio_api/call/v2/generate/{event}"):
        assert_refused(http.get(address), 404, "fetched already")
    # A page opens a stream for what its last one has brought meanwhile; a refusal would leave it without any for good.
    ended = http.get("/gradio_api/queue/data?session_hash=somebody")
    assert ended.status_code == 200
    assert json.loads(ended.text.removeprefix("data: "))["msg"] == "close_stream"
    assert ended.headers["content-type"].startswith("text/event-stream")
    assert ended.headers["x-accel-buffering"] == "no"  # by nginx and those who do as it does
    for address in ("/gradio_api/call/generate/0123456789abcdef", "/gradio_api/queue/data?session_hash=nobody"):
        assert_refused(http.get(address), 404, "nothing was asked")
