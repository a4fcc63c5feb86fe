"""`python -m benchmarks.leaving`: how soon the app holds nothing more of a visitor who stops or goes away.

A run is stopped, or its page closed: until nothing is running. A page is closed while it waits in line: until its place
is free. An upload is cut off in its middle: until what was written of it is gone. Runs have the longest steps that the
page can ask for.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import gradio as gr
import httpx
import typer
from gradio.utils import get_upload_folder

from benchmarks.pipeline import CHECKPOINT
from benchmarks.results import Result, Unmeasured, report
from benchmarks.studio import PATIENCE, asked, handler, opened
from ddpm_core.cli import in_one_sentence, run
from ddpm_core.requests import GenerateRequest
from ui.models import Shelf
from ui.serving.line import line_of
from ui.tabs.generate import GenerateTab

REPEATS = 5
SECONDS = 1.0
MEGABYTE = 10**6  # bytes
LONG = GenerateRequest(count=8, steps=200)


def main(
    checkpoint: Annotated[Path, typer.Option(help="checkpoint folder")] = CHECKPOINT,
    json_file: Annotated[Path | None, typer.Option("--json", help="also write the results to this file")] = None,
) -> None:
    """Print the longest it took."""
    with in_one_sentence():
        report(measure(checkpoint), json_file)


def measure(checkpoint: Path = CHECKPOINT, repeats: int = REPEATS) -> list[Result]:
    """The longest time for each way of leaving. Raises `Unmeasured`."""
    shelf = Shelf.around(checkpoint)
    with opened(shelf) as (visitor, page):
        given = visitor, page, shelf.first
        ways: dict[str, Callable[[], float]] = {
            "worker free, run stopped": lambda: freed(*given, stop=True),
            "worker free, run left": lambda: freed(*given, stop=False),
            "place free, line left": lambda: out_of_line(*given),
            "file gone, upload cut off": lambda: cut_off(visitor, page),
        }
        longest = {way: max(once() for _ in range(repeats)) for way, once in ways.items()}
    return [Result.at_most(f"app: {way}, s", value, SECONDS) for way, value in longest.items()]


def freed(visitor: httpx.Client, page: gr.Blocks, checkpoint: str, stop: bool) -> float:
    """Seconds until nothing runs, of a run that is stopped, or else left, as soon as its first step is there.

    Raises:
        Unmeasured: it goes on.
    """
    line = line_of(page)
    with under_way(visitor, page, checkpoint, "process_generating") as cancel:
        begun = time.perf_counter()
        if stop:
            cancel()
    return seconds_until(lambda: not line.running, begun)


def out_of_line(visitor: httpx.Client, page: gr.Blocks, checkpoint: str) -> float:
    """Seconds until the place in line of a page that is closed is free, while another's run goes on.

    Raises:
        Unmeasured: it stays in line.
    """
    line = line_of(page)
    with under_way(visitor, page, checkpoint, "process_generating"):
        with under_way(visitor, page, checkpoint, "estimation"):
            begun = time.perf_counter()
        waited = seconds_until(lambda: not len(line), begun)
    seconds_until(lambda: line.idle, time.perf_counter())
    return waited


def cut_off(visitor: httpx.Client, page: gr.Blocks) -> float:
    """Seconds until nothing is left of an upload that is cut off once a part of it is on the disk.

    Raises:
        Unmeasured: a part of it stays.
    """
    folder = Path(get_upload_folder())
    before = written(folder)
    begun = 0.0

    def half() -> Iterator[bytes]:
        nonlocal begun
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n' + bytes(MEGABYTE)
        seconds_until(lambda: bool(written(folder) - before), time.perf_counter())
        begun = time.perf_counter()
        raise ConnectionError

    with suppress(ConnectionError):
        kind = {"content-type": "multipart/form-data; boundary=x"}
        visitor.post("/gradio_api/upload", content=half(), headers=kind)
    return seconds_until(lambda: written(folder) <= before and line_of(page).idle, begun)


def written(folder: Path) -> set[Path]:
    """Uploads that have not come to their end."""
    return set(folder.glob("tmp*"))


@contextmanager
def under_way(visitor: httpx.Client, page: gr.Blocks, checkpoint: str, until: str) -> Iterator[Callable[[], object]]:
    """A long run whose page has been told so much of it, and what stops it; the page is then closed."""
    number, session = handler(page, GenerateTab._run), uuid.uuid4().hex
    pressed = {"fn_index": number, "data": asked(page, checkpoint, LONG), "session_hash": session}
    event = visitor.post("/gradio_api/queue/join", json=pressed).raise_for_status().json()["event_id"]
    cancelled = {"session_hash": session, "fn_index": number, "event_id": event}
    with visitor.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
        for said in stream.iter_lines():
            if said.startswith("data:") and json.loads(said.removeprefix("data:"))["msg"] == until:
                break
        yield lambda: visitor.post("/gradio_api/cancel", json=cancelled)


def seconds_until(over: Callable[[], bool], begun: float) -> float:
    """Seconds since then, once it is. Raises `Unmeasured` if it never is."""
    while not over():
        if time.perf_counter() > begun + PATIENCE:
            raise Unmeasured("what was left goes on.")
        time.sleep(0.005)
    return time.perf_counter() - begun


if __name__ == "__main__":
    run(main)
