"""What the app costs: a picture through the page beside the same call of the pipeline, and the time to the first page.

A picture through the page goes the way a visitor's click goes: it stands in Gradio's queue, the Generate tab's own
handler makes it, previews are decoded, written and announced while it is made, and it is done when the page is
told so. App and pipeline share one process and one model, so that nothing but the way differs.

The time to the first page is that from starting `python app.py` until its address answers with the page. The
measure for it is the time that importing torch and gradio takes in a process of its own: what any such app pays.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import httpx

from benchmarks.pipeline import CHECKPOINT
from benchmarks.results import Result, Unmeasured
from benchmarks.timing import medians
from ddpm_core.samplers import last
from ddpm_core.schema import GenerateRequest
from ui.generate import GenerateTab
from ui.models import Shelf
from ui.studio import TITLE, build, launch_settings

ROOT = Path(__file__).resolve().parents[1]
STEPS, PICTURES, STARTS = 20, 11, 5
TIMES_PIPELINE, TIMES_IMPORTS = 1.25, 1.5
PATIENCE = 120.0  # seconds, for an answer
LOOK_EVERY = 0.02  # seconds, while waiting for the first page


def picture(checkpoint: Path = CHECKPOINT, steps: int = STEPS, repeats: int = PICTURES) -> list[Result]:
    """How many times longer a picture takes through the page; previews shown, and seconds, as a remark.

    Raises:
        Unmeasured: the page told of a failure.
    """
    shelf = Shelf.around(checkpoint)
    model, request = shelf.load(shelf.first), GenerateRequest(steps=steps)
    page = build(shelf)
    page.launch(server_name="127.0.0.1", prevent_thread_lock=True, **launch_settings())
    previews: list[int] = []
    try:
        with httpx.Client(base_url=str(page.local_url), timeout=PATIENCE, trust_env=False) as visitor:
            seconds = medians(
                {
                    "pipeline": lambda: model.pictures(last(model.generate(request)).latent),
                    "app": lambda: previews.append(clicked(visitor, page, shelf.first, request)),
                },
                repeats,
            )
    finally:
        page.close(verbose=False)
    return [
        Result.at_most("app: picture, app / pipeline", seconds["app"] / seconds["pipeline"], TIMES_PIPELINE),
        *(Result(f"app: picture, {name}, s", value) for name, value in seconds.items()),
        Result("app: previews per picture", sum(previews) / len(previews)),
    ]


def clicked(visitor: httpx.Client, page: gr.Blocks, checkpoint: str, request: GenerateRequest) -> int:
    """Press *Generate* over HTTP and wait for the picture; returns how many previews were shown.

    Raises:
        Unmeasured: the page told of a failure.
    """
    handlers = {getattr(function.fn, "__qualname__", ""): number for number, function in page.fns.items()}
    session = uuid.uuid4().hex
    asked = {
        "fn_index": handlers[GenerateTab._run.__qualname__],
        "data": [checkpoint, request.seed, request.count, request.steps, request.sampler, "", request.guidance],
        "session_hash": session,
    }
    visitor.post("/gradio_api/queue/join", json=asked).raise_for_status()
    told = [message["msg"] for message in messages(visitor, session)]
    # The picture itself comes as the last of the handler's answers, after the previews.
    return told.count("process_generating") - 1


def messages(visitor: httpx.Client, session: str) -> Iterator[dict[str, Any]]:
    """What the server tells a page while its request is worked on, up to the end.

    Raises:
        Unmeasured: what it tells is a failure; those that the handler foresees come as a notice.
    """
    with visitor.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
        for line in stream.iter_lines():
            if not line.startswith("data:"):
                continue
            message = json.loads(line.removeprefix("data:"))
            if message["msg"] == "log" or not message.get("success", True):
                raise Unmeasured(f"the page failed: {message.get('log') or message.get('output')}")
            yield message
            if message["msg"] == "process_completed":
                return


def start_up(checkpoint: Path = CHECKPOINT, repeats: int = STARTS) -> list[Result]:
    """How many times longer the first page takes than the imports; seconds as a remark.

    Raises:
        Unmeasured: the app ended instead.
    """
    seconds = medians({"imports": imports, "first page": lambda: first_page(checkpoint)}, repeats, warmup=1)
    return [
        Result.at_most("start-up: first page / imports", seconds["first page"] / seconds["imports"], TIMES_IMPORTS),
        *(Result(f"start-up: {name}, s", value) for name, value in seconds.items()),
    ]


def imports() -> None:
    """Import torch and gradio in a process of its own."""
    subprocess.run([sys.executable, "-c", "import torch, gradio"], cwd=ROOT, env=quiet(), check=True)


def first_page(checkpoint: Path) -> None:
    """Start the app, wait for its page, end it.

    Raises:
        Unmeasured: the app ended, or its page did not come.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "app.py", "--port", str(port), "--checkpoint", str(checkpoint.resolve())]
    app = subprocess.Popen(command, cwd=ROOT, env=quiet(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        patience = time.monotonic() + PATIENCE
        while not answers(f"http://127.0.0.1:{port}/"):
            if app.poll() is not None:
                raise Unmeasured(f"the app ended at once: {app.stderr.read().strip() if app.stderr else ''}")
            if time.monotonic() > patience:
                raise Unmeasured(f"the app's page did not come within {PATIENCE:.0f} s.")
            time.sleep(LOOK_EVERY)
    finally:
        app.kill()
        app.wait()
        if app.stderr:
            app.stderr.close()


def answers(address: str) -> bool:
    """Whether the page is there."""
    try:
        answer = httpx.get(address, timeout=PATIENCE, trust_env=False)
    except httpx.TransportError:
        return False
    return answer.status_code == httpx.codes.OK and TITLE in answer.text


def quiet() -> dict[str, str]:
    """The environment for both: Gradio makes no call home in either."""
    return {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False"}
