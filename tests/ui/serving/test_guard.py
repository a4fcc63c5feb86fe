"""What the server says with every answer, which files it has, and that it asks nobody: of the app as it is launched."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import gradio
import httpx
import pytest
from gradio.utils import get_upload_folder

from tests.ui.serving.over_http import assert_refused, fetched, png, upload
from ui.models import Shelf
from ui.serving import guard

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def uploaded(http: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Path of an upload, as the server names it."""
    return upload(http, "photo.png", png(tmp_path_factory.mktemp("photo") / "photo.png"))


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
