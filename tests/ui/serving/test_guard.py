"""What the server refuses and what it says with every answer, asked over HTTP of the app as it is launched."""

from __future__ import annotations

import json
import os
import re
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import gradio
import httpx
import numpy as np
import pytest
from gradio.utils import get_upload_folder
from gradio_client import Client
from PIL import Image
from starlette.routing import Route

from ui.models import Shelf
from ui.page import launch_settings
from ui.serving import guard

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def http(client: Client) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=client.src, timeout=60, trust_env=False) as visitor:
        yield visitor


@pytest.fixture(scope="module")
def uploaded(http: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Path of an upload, as the server names it."""
    return upload(http, "photo.png", png(tmp_path_factory.mktemp("photo") / "photo.png"))


def png(path: Path) -> bytes:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(path)
    return path.read_bytes()


def upload(http: httpx.Client, name: str, content: bytes) -> str:
    (path,) = http.post("/gradio_api/upload", files={"files": (name, content)}).raise_for_status().json()
    return str(path)


def fetched(http: httpx.Client, path: str) -> httpx.Response:
    return http.get(f"/gradio_api/file={path}")


def assert_refused(answer: httpx.Response, status: int, words: str) -> None:
    assert answer.status_code == status, answer.text
    assert re.search(words, answer.json()["detail"])


# Headers


def test_every_answer_tells_the_browser_what_it_may_do(http: httpx.Client, uploaded: str) -> None:
    for path in ("/", "/config", "/theme.css", "/nothing", f"/gradio_api/file={uploaded}", "/gradio_api/deep_link"):
        headers = http.get(path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"] == "same-origin", path
        assert "default-src" in headers["content-security-policy"], path


def test_what_never_changes_under_its_name_is_fetched_once(http: httpx.Client) -> None:
    assets = set(re.findall(r"\./(assets/[^\"]+)", http.get("/").text))
    assert any(asset.endswith(".js") for asset in assets)
    for asset in assets:
        assert "immutable" in http.get(f"/{asset}").headers["cache-control"], asset
    gone = re.sub(r"\w(?=\.js$)", "_", next(asset for asset in assets if asset.endswith(".js")))
    for path in ("/", f"/{gone}", "/config", "/theme.css"):
        assert "immutable" not in http.get(path).headers.get("cache-control", ""), path


def test_the_page_may_run_its_own_scripts_and_ask_nobody_else(http: httpx.Client) -> None:
    rules = dict(rule.split(" ", 1) for rule in http.get("/").headers["content-security-policy"].split("; "))
    assert "'unsafe-inline'" not in rules["script-src"]
    assert not any("http" in rule or "*" in rule for name, rule in rules.items() if name != "frame-ancestors")
    assert rules["frame-ancestors"] == "'self' https://huggingface.co https://*.hf.space"
    other = guard.Guard(lambda *_: None, framed_by="https://example.org").policy()  # type: ignore[arg-type, return-value]
    assert other.endswith("frame-ancestors 'self' https://example.org")


def test_scripts_of_the_page_are_named_and_no_others() -> None:
    page = b"<script>a()</script><script type=x src='b.js'></script><p onclick='c()'>"
    policy = guard.Guard(lambda *_: None, ["d()"]).policy(page)  # type: ignore[arg-type, return-value]
    assert policy.count("'sha256-") == 2


def test_with_share_the_page_may_be_made_of_what_gradio_serves(http: httpx.Client) -> None:
    template = (Path(gradio.__file__).parent / "templates" / "frontend" / "share.html").read_bytes()
    (host,) = set(re.findall(r'<script[^>]* src="(https://[^/]+)/', template.decode()))
    plain = guard.Guard(lambda *_: None)  # type: ignore[arg-type, return-value]
    rules = dict(rule.split(" ", 1) for rule in plain.policy(template).split("; "))
    assert all(host in rules[name] for name in ("script-src", "style-src", "font-src", "img-src", "connect-src"))
    assert host not in http.get("/").headers["content-security-policy"]


def test_no_script_of_the_page_stands_in_an_attribute() -> None:
    found = [path for path in [*ROOT.glob("ui/**/*.py"), *ROOT.glob("static/*")] if path.is_file()]
    with_handlers = [path.name for path in found if re.search(rb"""\son[a-z]+=\\?["']""", path.read_bytes())]
    assert not with_handlers  # the policy has them do nothing; listen in studio.js


def test_a_file_opened_by_itself_is_inert(http: httpx.Client) -> None:
    for name in ("x.svg", "x.html"):
        answer = fetched(http, upload(http, name, b"<svg onload='alert(1)' xmlns='http://www.w3.org/2000/svg'/>"))
        assert "sandbox" in answer.headers["content-security-policy"]
        assert answer.headers["content-disposition"].startswith("attachment")


# Files


def test_what_was_uploaded_can_be_fetched_and_so_can_icons(http: httpx.Client, uploaded: str) -> None:
    assert fetched(http, uploaded).content.startswith(b"\x89PNG")
    (icon,) = [one for one in http.get("/config").text.split('"') if one.endswith("dice.svg") and one.startswith("/")][
        :1
    ]
    assert fetched(http, icon).status_code == 200


def test_nothing_else_can_be_guessed(http: httpx.Client, shelf: Shelf, uploaded: str, tmp_path: Path) -> None:
    weights = shelf.root / shelf.first / "vae.safetensors"
    assert weights.is_file()
    cache = Path(get_upload_folder())
    link = Path(uploaded).parent / "link.png"
    link.symlink_to(weights)
    beside = cache / "beside.txt"
    beside.write_text("not an upload")
    hidden = Path(uploaded).with_name(".hidden.png")
    hidden.write_bytes(b"x")
    places = [
        weights, weights.resolve(), link, beside, hidden, cache, Path(uploaded).parent, ROOT / "app.py",
        ROOT / "README.md", "app.py", "checkpoints/faces-128/config.json", "ui/../app.py", "/etc/passwd",
        "/proc/self/environ", "/dev/zero", "/dev/stdin", "CON", "NUL.png", "file:///etc/passwd",
        f"{uploaded}/../../../../../../../../{weights}", str(weights).upper(), f"{uploaded}\0.png",
        str(weights).replace("/", "\\"), str(weights).replace(".", "\u2024"), str(weights).replace("/", "\u2215"),
        f"//{weights}", f"./{weights}", "~/.ssh/id_rsa", "", "x" * 5000,
    ]  # fmt: skip
    try:
        for place in places:
            for words in (str(place), quote(str(place), safe=""), quote(quote(str(place), safe=""), safe="")):
                answer = http.get(f"/gradio_api/file={words}") if "\0" not in words else None
                assert answer is None or answer.status_code in (403, 404), place
                assert answer is None or "Traceback" not in answer.text
    finally:
        for made in (link, beside, hidden):
            made.unlink()


@pytest.mark.parametrize("kind", ["checkpoints", "training", "ui", "static", "ddpm_core"])
def test_folders_beside_the_app_are_no_addresses(http: httpx.Client, kind: str) -> None:
    for name in ("faces-128/config.json", "../app.py", "studio.js"):
        for before in ("", "/static/", "/assets/", "/static/../", "/static/..%2f..%2f"):
            assert http.get(f"{before}/{kind}/{name}".replace("//", "/")).status_code in (403, 404)


def test_a_fifo_or_a_device_is_no_file(tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 64)
    folder.mkdir()
    os.mkfifo(folder / "pipe.png")
    (folder / "photo.png").write_bytes(b"x")
    assert guard.is_served(str(folder / "photo.png"), tmp_path)
    assert not guard.is_served(str(folder / "pipe.png"), tmp_path)
    assert not guard.is_served(str(folder / "photo.png"), tmp_path / "other")


# Addresses


@pytest.fixture
def stranger() -> Iterator[tuple[str, list[bytes]]]:
    """A server of somebody else's, on this machine, and what it was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    asked.append(connection.recv(4096))
                    connection.sendall(
                        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
                    )

        threading.Thread(target=answer, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/x.png", asked
        listening.shutdown(socket.SHUT_RDWR)


ADDRESSES = [
    "http://169.254.169.254/latest/meta-data/", "HTTP://localhost/", "https://example.org/x.png", " http://127.0.0.1/",
    "ftp://127.0.0.1/x", "file:///etc/passwd", "//127.0.0.1/x.png", "\\\\host\\share\\x.png",
    "data:image/png;base64,AA", "gopher://127.0.0.1", "http:127.0.0.1",
]  # fmt: skip


def test_the_server_fetches_nothing_for_anybody(http: httpx.Client, stranger: tuple[str, list[bytes]]) -> None:
    address, asked = stranger
    for one in [address, *ADDRESSES]:
        for given in ({"path": one}, {"path": "x.png", "url": f"data:{one}"}, {"path": one, "url": one}):
            picture = given | {"meta": {"_type": "gradio.FileData"}}
            for call, data in [
                ("call/edit", {"data": [picture]}),
                ("call/v2/edit", {"picture": picture}),
                ("run/edit", {"data": [picture]}),
                ("queue/join", {"data": [[{"image": picture}]], "fn_index": 0, "session_hash": "x"}),
            ]:
                assert_refused(http.post(f"/gradio_api/{call}", json=data), 400, "upload it")
    for path in ("file", "proxy"):
        assert http.get(f"/gradio_api/{path}={address}").status_code in (403, 404)
    assert asked == []


def test_addresses_are_looked_for_whatever_a_call_calls_itself(http: httpx.Client) -> None:
    body = b'{"data": [{"path": "http://127.0.0.1/"}]}'
    for kind in ("text/plain", "application/vnd.x+json", "", "APPLICATION/JSON; charset=utf-8"):
        assert_refused(http.post("/gradio_api/call/edit", content=body, headers={"Content-Type": kind}), 400, "upload")


# Calls


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
    for address in ("/gradio_api/call/generate/0123456789abcdef", "/gradio_api/queue/data?session_hash=nobody"):
        assert_refused(http.get(address), 404, "nothing was asked")
