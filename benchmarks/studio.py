"""What the app costs: a picture through the page beside the same call of the pipeline, and a live draft.

A picture goes the way of a click: through Gradio's queue to the Generate tab's handler, with previews, until the page
is told that it is done. App and pipeline share one process and model. A live draft goes the way of a stroke: the canvas
is handed to the editor, and the Inpaint tab's handler answers. Browsers are not in the time.
"""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import gradio as gr
import httpx
import numpy as np
from PIL import Image

from benchmarks.pipeline import CHECKPOINT
from benchmarks.results import Result, Unmeasured
from benchmarks.timing import medians, ratio, turns
from ddpm_core.diffusion.samplers import last
from ddpm_core.images.files import open_picture
from ddpm_core.requests import GenerateRequest
from ui import examples
from ui.components import editor_canvas
from ui.models import Shelf
from ui.page import build, launch_settings
from ui.tabs.generate import GenerateTab
from ui.tabs.inpaint import InpaintTab

STEPS, PICTURES, DRAFTS = 20, 25, 11
TIMES_PIPELINE = 1.25
SECONDS_TO_DRAFT = 1.0
PATIENCE = 120.0  # seconds, for an answer


def app(checkpoint: Path = CHECKPOINT) -> list[Result]:
    """A picture and a live draft. Raises `Unmeasured` if the page fails."""
    return [*picture(checkpoint), *draft(checkpoint)]


def picture(checkpoint: Path = CHECKPOINT, steps: int = STEPS, repeats: int = PICTURES) -> list[Result]:
    """How many times longer a picture takes through the page; previews shown, and seconds, as a remark.

    Raises:
        Unmeasured: the page reported a failure.
    """
    shelf = Shelf.around(checkpoint)
    model, request = shelf.load(shelf.first), GenerateRequest(steps=steps)
    previews: list[int] = []
    session = uuid.uuid4().hex  # a page that is open, as its visitor's is; what opening it takes falls to a warm-up
    with opened(shelf) as (visitor, page):
        seconds = turns(
            {
                "pipeline": lambda: model.pictures(last(model.generate(request)).latent),
                "app": lambda: previews.append(clicked(visitor, page, session, shelf.first, request)),
            },
            repeats,
        )
    return [
        Result.at_most("app: picture, app / pipeline", ratio(seconds["app"], seconds["pipeline"]), TIMES_PIPELINE),
        *(Result(f"app: picture, {name}, s", median(each)) for name, each in seconds.items()),
        Result("app: previews per picture", sum(previews) / len(previews)),
    ]


def draft(checkpoint: Path = CHECKPOINT, repeats: int = DRAFTS) -> list[Result]:
    """Seconds from a stroke on the picture that the Inpaint tab opens with until its draft is there.

    Raises:
        Unmeasured: the page reported a failure, or answered with nothing.
    """
    canvas = blobs(open_picture(examples.faces()[0]))
    with opened(Shelf.around(checkpoint)) as (visitor, page):
        seconds = medians({"draft": lambda: painted(visitor, page, canvas)}, repeats)["draft"]
    return [Result.at_most("app: live draft, s", seconds, SECONDS_TO_DRAFT)]


@contextmanager
def opened(shelf: Shelf) -> Iterator[tuple[httpx.Client, gr.Blocks]]:
    """A visitor, and the page that is served to it."""
    page = build(shelf)
    page.launch(server_name="127.0.0.1", prevent_thread_lock=True, **launch_settings())
    try:
        with httpx.Client(base_url=str(page.local_url), timeout=PATIENCE, trust_env=False) as visitor:
            yield visitor, page
    finally:
        page.close(verbose=False)


def clicked(visitor: httpx.Client, page: gr.Blocks, session: str, checkpoint: str, request: GenerateRequest) -> int:
    """Press *Generate* over HTTP in a session and wait for the picture; how many previews came.

    Raises:
        Unmeasured: the page reported a failure.
    """
    answers = called(visitor, handler(page, GenerateTab._run), asked(page, checkpoint, request), session)
    # The picture itself comes as the last of the handler's answers, after the previews.
    return [message["msg"] for message in answers].count("process_generating") - 1


def painted(visitor: httpx.Client, page: gr.Blocks, canvas: dict[str, bytes]) -> None:
    """Finish a stroke over HTTP, as a visitor who has just opened the page, and wait for the draft.

    The canvas goes to the editor first, layer by layer; the call names it.

    Raises:
        Unmeasured: the page reported a failure, or answered with nothing.
    """
    number, session, stroke = handler(page, InpaintTab._draft), uuid.uuid4().hex, uuid.uuid4().hex
    inputs = page.fns[number].inputs
    editor = next(one for one in inputs if isinstance(one, gr.ImageEditor))
    for kind, content in canvas.items():
        what = {"type": kind, "index": "0" if kind == "layer" else "null", "id": stroke}
        where = {"component_id": str(editor._id), "fn_name": "accept_blobs", "session_hash": session}
        answer = visitor.post("/gradio_api/component_server", data=what | where, files={"file": (kind, content)})
        answer.raise_for_status()
    given = [None if isinstance(one, gr.State) else getattr(one, "value", None) for one in inputs]
    given[inputs.index(editor)] = {"background": None, "layers": [], "composite": None, "id": stroke}
    if "Live draft in" not in json.dumps(called(visitor, number, given, session)):
        raise Unmeasured("the page answered a stroke with no draft.")


def blobs(picture: Image.Image) -> dict[str, bytes]:
    """The editor's canvas as PNGs, for a picture with a stroke across its lower half."""
    stroke = np.zeros((picture.height, picture.width), dtype=bool)
    stroke[-picture.height // 4 : -picture.height // 8, picture.width // 4 : -picture.width // 4] = True
    canvas = editor_canvas.editor_value(picture, stroke)
    return {
        "background": png(canvas["background"]),
        "layer": png(*canvas["layers"]),
        "composite": png(canvas["composite"]),
    }


def png(picture: Image.Image) -> bytes:
    """A picture as a browser sends it."""
    picture.save(file := io.BytesIO(), "png")
    return file.getvalue()


def asked(page: gr.Blocks, checkpoint: str, request: GenerateRequest) -> list[Any]:
    """What the page sends when *Generate* is pressed; all else stands as the page opens."""
    given = [checkpoint, request.seed, request.count, request.steps, request.sampler, "", request.guidance]
    others = page.fns[handler(page, GenerateTab._run)].inputs[len(given) :]
    return [*given, *(getattr(one, "value", None) for one in others)]


def handler(page: gr.Blocks, function: Any) -> int:
    """The number by which a page knows one of its handlers."""
    numbers = {getattr(each.fn, "__qualname__", ""): number for number, each in page.fns.items()}
    return numbers[function.__qualname__]


def called(visitor: httpx.Client, number: int, given: list[Any], session: str) -> list[dict[str, Any]]:
    """All that the server sends to a page that calls that handler. Raises `Unmeasured`."""
    payload = {"fn_index": number, "data": given, "session_hash": session}
    visitor.post("/gradio_api/queue/join", json=payload).raise_for_status()
    return list(messages(visitor, session))


def messages(visitor: httpx.Client, session: str) -> Iterator[dict[str, Any]]:
    """What the server sends to a page while its request is worked on.

    Raises:
        Unmeasured: it reports a failure; those that the handler foresees come as a notice.
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
