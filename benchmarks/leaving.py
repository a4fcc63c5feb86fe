"""`python -m benchmarks.leaving`: how soon the app's worker is free when a visitor stops a run or closes the page.

The run has the longest steps that the page can ask for. Timed is from the stop, or the closing of the stream of events,
until nothing is running.
"""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from typing import Annotated

import gradio as gr
import httpx
import typer

from benchmarks.pipeline import CHECKPOINT
from benchmarks.results import Result, Unmeasured, report
from benchmarks.studio import PATIENCE, asked, handler, opened
from ddpm_core.cli import in_one_sentence, run
from ddpm_core.requests import GenerateRequest
from ui.models import Shelf
from ui.serving.line import line_of
from ui.tabs.generate import GenerateTab

WAYS = ("stopped", "left")
REPEATS = 5
SECONDS = 1.0
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
        longest = {way: max(freed(visitor, page, shelf.first, way) for _ in range(repeats)) for way in WAYS}
    return [Result.at_most(f"app: worker free, run {way}, s", value, SECONDS) for way, value in longest.items()]


def freed(visitor: httpx.Client, page: gr.Blocks, checkpoint: str, way: str) -> float:
    """Seconds until nothing runs, of a run that is left as soon as its first step is there.

    Raises:
        Unmeasured: it goes on.
    """
    number, session, line = handler(page, GenerateTab._run), uuid.uuid4().hex, line_of(page)
    pressed = {"fn_index": number, "data": asked(page, checkpoint, LONG), "session_hash": session}
    event = visitor.post("/gradio_api/queue/join", json=pressed).raise_for_status().json()["event_id"]
    with visitor.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
        for said in stream.iter_lines():
            if said.startswith("data:") and json.loads(said.removeprefix("data:"))["msg"] == "process_generating":
                break
        begun = time.perf_counter()
        if way == "stopped":
            visitor.post("/gradio_api/cancel", json={"session_hash": session, "fn_index": number, "event_id": event})
    while line.running:
        if time.perf_counter() > begun + PATIENCE:
            raise Unmeasured("a run that was left goes on.")
        time.sleep(0.005)
    return time.perf_counter() - begun


if __name__ == "__main__":
    run(main)
