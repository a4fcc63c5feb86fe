"""A visitor over HTTP, and an app process to visit: what a browser or a program does, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests import forked

PATIENCE = 300.0  # seconds; whatever is waited for competes with all else the machine does


class Refused(Exception):
    """The app took a request not into its line; the message is what it said."""


@dataclass
class App:
    """A running app process.

    Attributes:
        address: where it answers, without a slash at the end.
        log: file of what it says on standard error.
    """

    address: str
    process: forked.Program
    log: Path

    def health(self) -> httpx.Response:
        return httpx.get(f"{self.address}/healthz", timeout=PATIENCE)

    def metric(self, name: str, **labels: str) -> float:
        """A number of /metrics; 0 if it is not there yet."""
        named = "{" + ",".join(f'{label}="{value}"' for label, value in labels.items()) + "}" if labels else ""
        lines = httpx.get(f"{self.address}/metrics", timeout=PATIENCE).text.splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(f"{name}{named} ")), 0.0)

    def requests(self) -> list[dict[str, Any]]:
        """The log's lines of requests."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith('{"at"')]


@contextmanager
def running(checkpoint: Path, folder: Path, *flags: str, port: int | None = None) -> Iterator[App]:
    """An app that is ready, and ended in the end; what it says goes into the folder, and so do its files."""
    port = port or forked.free_port()
    given = ["--port", port, "--checkpoint", checkpoint, "--device", "cpu", *flags]
    told = {"GRADIO_TEMP_DIR": str(folder / "files"), "TMPDIR": str(folder), "NO_PROXY": "*"}
    told["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")
    process = forked.open_app(given, folder / f"{port}.log", told)
    app = App(f"http://127.0.0.1:{port}", process, folder / f"{port}.log")
    try:
        wait_for(lambda: _is_ready(app), app)
        yield app
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_ready(app: App) -> bool:
    assert app.process.poll() is None, f"the app did not start: {app.log.read_text()}"
    try:
        return app.health().status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def wait_for(happens: Any, app: App) -> None:
    """Wait until something is so, and fail with the app's log if it never is."""
    until = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < until, f"it did not happen; the app said: {app.log.read_text()}"
        time.sleep(0.05)


class Visitor:
    """One page's session, or one program's."""

    def __init__(self, address: str, **headers: str):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        # A connection that is kept may be closed by the server as it is used again: browsers then ask anew, httpx not.
        limits = httpx.Limits(max_keepalive_connections=0)
        self.http = httpx.Client(base_url=address, timeout=PATIENCE, headers=named, trust_env=False, limits=limits)
        self.session = uuid.uuid4().hex

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *failure: object) -> None:
        self.http.close()

    def learn(self) -> None:
        """Read which endpoints there are, and what they take."""
        config, info = (self.http.get(path).raise_for_status().json() for path in ("/config", "/gradio_api/info"))
        self.numbers = {one["api_name"]: one["id"] for one in config["dependencies"]}
        self.parameters = {
            name.removeprefix("/"): {one["parameter_name"]: one.get("parameter_default") for one in each["parameters"]}
            for name, each in info["named_endpoints"].items()
        }

    def upload(self, content: bytes, name: str) -> dict[str, Any]:
        """A file as an endpoint takes it."""
        answer = self.http.post("/gradio_api/upload", files={"files": (name, content)}).raise_for_status()
        return {"path": answer.json()[0], "orig_name": name, "meta": {"_type": "gradio.FileData"}}

    def ask(self, name: str, **given: Any) -> str:
        """Join the line; the number of the event.

        Raises:
            Refused: the app did not take it.
        """
        data = list({**self.parameters[name], **given}.values())
        asked = {"fn_index": self.numbers[name], "data": data, "session_hash": self.session}
        answer = self.http.post("/gradio_api/queue/join", json=asked)
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise Refused(answer.json()["detail"])
        return str(answer.raise_for_status().json()["event_id"])

    def events(self) -> Iterator[dict[str, Any]]:
        """What the app tells the session, to the end of what it has asked for."""
        with self.http.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.session}) as stream:
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    event = json.loads(line.removeprefix("data:"))
                    if event["msg"] == "close_stream":
                        return
                    yield event

    def call(self, name: str, **given: Any) -> list[Any]:
        """Ask, and wait for the answer.

        Raises:
            Refused: the app did not take it.
            LookupError: it ended in a failure, or in nothing.
        """
        self.ask(name, **given)
        for event in self.events():
            if event["msg"] == "process_completed":
                if not event["success"]:
                    raise LookupError(f"{name} failed: {event['output']}")
                return event["output"]["data"]
        raise LookupError(f"{name} ended without an answer")

    def fetch(self, file: dict[str, Any]) -> bytes:
        """The bytes of an answer's file."""
        return self.http.get(f"/gradio_api/file={file['path']}").raise_for_status().content
