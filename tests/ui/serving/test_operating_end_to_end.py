"""Operating the app: a real process with its flags, asked over HTTP; the last test ends it."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ddpm_core.images.files import read_parameters
from tests.visitor import PATIENCE, App, Refused, Visitor, running, wait_for

LONG = {"steps": 999, "count": 8}  # minutes


@pytest.fixture(scope="module")
def app(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    folder = tmp_path_factory.mktemp("operating")
    (folder / "visitors").write_text("ann:secret\n")
    flags = ["--root-path", "/studio", "--auth", str(folder / "visitors"), "--trust-proxy", "127.0.0.1"]
    with running(
        tiny_checkpoint, folder, *flags, "--per-address", "2", "--max-visitors", "50", "--grace", "300"
    ) as app:
        yield app


@pytest.fixture
def visit(app: App) -> Iterator[Any]:
    """Makes visitors who have said their name, of addresses as a proxy tells them."""
    came: list[Visitor] = []

    def come(address: str = "192.0.2.1") -> Visitor:
        visitor = Visitor(app.address, x_forwarded_for=address)
        came.append(visitor)
        visitor.http.post("/login", data={"username": "ann", "password": "secret"}).raise_for_status()
        visitor.learn()
        return visitor

    yield come
    for visitor in came:
        visitor.http.close()
    if app.process.poll() is None:
        wait_for(lambda: app.metric("studio_running") == app.metric("studio_waiting") == 0, app)


def test_health_and_metrics_are_told_without_a_password_and_all_else_is_not(app: App) -> None:
    assert app.health().json() == {"status": "ok", "model": "tiny", "waiting": 0}
    assert app.metric("process_resident_memory_bytes") > 1e8
    assert httpx.get(f"{app.address}/gradio_api/info").status_code == httpx.codes.UNAUTHORIZED
    wrong = httpx.post(f"{app.address}/login", data={"username": "ann", "password": "guessed"})
    assert wrong.status_code == httpx.codes.BAD_REQUEST


def test_below_a_path_of_the_site_the_page_names_its_addresses_so(visit: Any) -> None:
    config = visit().http.get("/config").json()
    assert config["root"].endswith("/studio")


def test_a_request_is_counted_and_its_line_in_the_log_names_nobody_and_nothing(app: App, visit: Any) -> None:
    before = app.metric("studio_requests_total", kind="generate", outcome="done")
    made, *_ = visit().call("generate", seed=4242, steps=2)
    assert made[0]["path"]
    assert app.metric("studio_requests_total", kind="generate", outcome="done") == before + 1
    said = app.requests()[-1]
    assert (said.pop("kind"), said.pop("outcome"), said.pop("calls")) == ("generate", "done", 2)
    assert set(said) == {"at", "waited", "seconds"}
    assert not re.search(r"4242|192\.0\.2|\bann\b|\.png", app.log.read_text())


def test_what_would_take_too_long_is_refused_before_it_begins(visit: Any) -> None:
    with pytest.raises(LookupError, match="16,000 are the most for one request"):
        visit().call("generate", **LONG, sampler="heun", label="1", guidance=2)


def test_an_address_has_its_share_and_others_theirs(app: App, visit: Any) -> None:
    first, second, other = visit("192.0.2.7"), visit("192.0.2.7"), visit("192.0.2.8")
    asked = [(first, first.ask("generate", **LONG)), (second, second.ask("generate", **LONG))]
    with pytest.raises(Refused, match="You have 2 requests waiting or running"):
        first.ask("generate")
    (beside,) = other.call("generate", seed=5, steps=3)[0]  # in the lane beside the long one
    places = [event for event in _first_of(second) if event["msg"] == "estimation"]
    assert places[-1]["rank"] == 0
    for visitor, number in asked:
        _cancel(visitor, number)
    (alone,) = other.call("generate", seed=5, steps=3)[0]
    assert other.fetch(beside) == other.fetch(alone)


def _first_of(visitor: Visitor) -> list[dict[str, Any]]:
    """What a visitor in line has been told, up to where it is told its time."""
    said = []
    for event in visitor.events():
        said.append(event)
        if event["msg"] == "estimation" and event["rank_eta"] is not None:
            return said
    return said


def _cancel(visitor: Visitor, number: str) -> None:
    given = {"session_hash": visitor.session, "fn_index": visitor.numbers["generate"], "event_id": number}
    visitor.http.post("/gradio_api/cancel", json=given).raise_for_status()


@pytest.mark.parametrize("way", ["stopped", "left"])
def test_a_program_that_stops_or_goes_away_frees_the_worker(app: App, visit: Any, way: str) -> None:
    """Its handler yields nothing before the end, so nothing but its steps could tell it."""
    before = app.metric("studio_requests_total", kind="generate", outcome="stopped")
    visitor = visit("192.0.2.9")
    number = visitor.ask("generate", **LONG)
    if way == "stopped":
        wait_for(lambda: app.metric("studio_running") == 1, app)
        _cancel(visitor, number)
    else:
        for event in visitor.events():  # which closes the stream
            if event["msg"] == "process_starts":
                break
    wait_for(lambda: app.metric("studio_running") == 0, app)
    assert app.metric("studio_requests_total", kind="generate", outcome="stopped") == before + 1
    assert app.requests()[-1]["seconds"] < PATIENCE / 2


def test_whoever_leaves_the_line_is_out_of_it(app: App, visit: Any) -> None:
    first, second = visit("192.0.2.10"), visit("192.0.2.11")
    number = first.ask("generate", **LONG)
    wait_for(lambda: app.metric("studio_running") == 1, app)
    second.ask("generate", **LONG)
    for _ in second.events():
        break
    wait_for(lambda: app.metric("studio_waiting") == 0, app)
    _cancel(first, number)


def test_an_upload_that_breaks_off_holds_nothing_up(app: App, visit: Any) -> None:
    visitor = visit()

    def half() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n' + b"0" * 10**6
        raise ConnectionError

    with pytest.raises(ConnectionError):
        visitor.http.post(
            "/gradio_api/upload", content=half(), headers={"content-type": "multipart/form-data; boundary=x"}
        )
    assert visit().call("generate", steps=1)[0]
    assert "Traceback" not in app.log.read_text()


def test_an_app_told_to_end_finishes_what_runs_and_refuses_what_comes(app: App, visit: Any, tmp_path: Path) -> None:
    visitor, done = visit(), []

    def wait() -> None:
        done.extend(event for event in visitor.events() if event["msg"] == "process_completed")
        file = done[0]["output"]["data"][0][0]
        (tmp_path / "made.png").write_bytes(visitor.fetch(file))

    visitor.ask("generate", steps=999, count=4)  # long enough to be asked something meanwhile
    waiting = threading.Thread(target=wait)
    waiting.start()
    wait_for(lambda: app.metric("studio_running") == 1, app)
    app.process.send_signal(signal.SIGTERM)
    wait_for(lambda: app.health().status_code == httpx.codes.SERVICE_UNAVAILABLE, app)
    with pytest.raises(Refused, match="The studio is closing for a moment"):
        visitor.ask("generate", steps=1)
    waiting.join(PATIENCE)
    assert read_parameters(tmp_path / "made.png")["steps"] == 999
    assert app.process.wait(PATIENCE) == 0
