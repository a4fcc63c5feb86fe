"""`python -m tests.faults.fuzz`: damaged uploads, checkpoints and calls at full length, and what came of them.

The ordinary tests take a tenth of the inputs (`tests/faults/test_fuzz.py`). Whatever is damaged must be used or refused
in one sentence, within `PATIENCE`, and leave no memory behind.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from ddpm_core.diffusion.samplers import last
from ddpm_core.errors import UserError
from ddpm_core.images.files import open_picture
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest, InpaintRequest
from tests.faults import damage
from ui.api.endpoints import inputs_of
from ui.errors import Problem
from ui.saved_settings import saved_settings

UPLOADS, CHECKPOINTS, CALLS = 500, 200, 200  # and as many checkpoints that diffusers saved
PATIENCE = 120  # seconds for one input; only one that hangs takes long, or a very busy machine
WARM = 2  # one in so many inputs comes before memory is first looked at: kernels, caches and the first pictures

FILE: dict[str, Any] = {"meta": {"_type": "gradio.FileData"}}


@dataclass
class Tally:
    """What became of inputs.

    Attributes:
        used, refused: how many were taken for good, and refused in a sentence.
        wrong: all others, each in a line or more.
        slowest: seconds of the longest.
        growth: megabytes that the process gained in the second half of them.
    """

    used: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)
    slowest: float = 0.0
    growth: float = 0.0


class Hang(Exception):
    """An input took longer than `PATIENCE`."""


@contextmanager
def patience() -> Iterator[None]:
    """Raises `Hang` inside if it takes too long."""

    def ring(*_: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def resident() -> float:
    """Megabytes of memory this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def tally(inputs: Iterable[tuple[str, Any]], count: int, use: Callable[[Any], bool]) -> Tally:
    """Give each input to `use`, which returns whether it took it, or raises `UserError` or `Problem`."""
    result, before = Tally(), 0.0
    for number, (name, given) in enumerate(inputs):
        if number == count // WARM:
            before = resident()
        start = time.monotonic()
        try:
            with patience():
                taken = use(given)
            result.used, result.refused = result.used + taken, result.refused + (not taken)
        except (UserError, Problem) as error:
            sentence = str(error)
            result.refused += 1
            if "\n" in sentence or "Traceback" in sentence or not sentence.endswith("."):
                result.wrong.append(f"{name}: no sentence: {sentence!r}")
        except Hang:
            result.wrong.append(f"{name}: more than {PATIENCE} s")
        except BaseException:
            result.wrong.append(f"{name}: {traceback.format_exc(limit=-4)}")
        result.slowest = max(result.slowest, time.monotonic() - start)
    result.growth = resident() - before
    return result


def uploads(count: int, model: LatentDiffusion, folder: Path) -> Tally:
    """What the API and the page do with an upload: as picture, mask, square for the model, and saved settings."""
    whole = folder / "whole.png"
    Image.fromarray(np.arange(40 * 30, dtype=np.uint8).reshape(30, 40)).save(whole)

    def use(given: tuple[str, bytes]) -> bool:
        name, content = given
        path = folder / name
        path.write_bytes(content)
        problems: list[Exception] = []
        for look in (
            lambda: model.square(open_picture(str(path))),
            lambda: inputs_of(InpaintRequest(), {"picture": str(path), "mask": str(whole)})[0].frame(model),
            lambda: inputs_of(InpaintRequest(), {"picture": str(whole), "mask": str(path)})[0].frame(model),
            lambda: saved_settings(str(path)),
        ):
            try:
                look()
            except (UserError, Problem) as problem:
                problems.append(problem)
        path.unlink()
        if len(problems) == 4:
            raise problems[0]
        return True

    return tally(((name, (name, content)) for name, content in damage.uploads(count)), count, use)


def checkpoints(count: int, whole: Path, folder: Path) -> Tally:
    """Loading damaged copies of a checkpoint, and a picture of those that load."""

    def use(path: Path) -> bool:
        model = LatentDiffusion.load(path, "cpu")
        model.pictures(last(model.generate(GenerateRequest(steps=1))).latent)
        return True

    use(whole)  # what is compiled for it once is none of theirs
    return tally(damage.checkpoints(whole, count, folder / "damaged"), count, use)


QUICK: dict[str, dict[str, Any]] = {
    "generate": {"seed": 1, "count": 1, "steps": 1, "sampler": "ddim", "checkpoint": "", "label": "", "guidance": 1},
    "edit": {"picture": None, "strength": 0.5, "seed": 1, "count": 1, "steps": 2},
    "inpaint": {"picture": None, "mask": None, "steps": 2, "resamples": 1, "grow": 0, "feather": 0, "crop": "picture"},
    "process": {"seed": 1, "steps": 2, "size": 16, "seconds": 1, "format": "gif"},
    "between": {"seed": 1, "to": 2, "count": 2, "steps": 1, "size": 16, "seconds": 1},
    "anagram": {"seed": 1, "count": 1, "steps": 1, "view": "upside-down"},
    "hybrid": {"seed": 1, "count": 1, "steps": 1, "blur": 1},
    "checkpoints": {},
}  # fmt: skip


def calls(count: int, http: httpx.Client, photo: bytes) -> Tally:
    """Damaged calls to a running app, over HTTP; what they are answered, to the end."""
    (file,) = http.post("/gradio_api/upload", files={"files": ("photo.png", photo)}).raise_for_status().json()
    endpoints = {
        name: {key: FILE | {"path": file} if value is None else value for key, value in given.items()}
        for name, given in QUICK.items()
    }

    def use(given: tuple[str, bytes]) -> bool:
        path, body = given
        answer = http.post(f"/gradio_api/{path}", content=body, headers={"Content-Type": "application/json"})
        assert "Traceback" not in answer.text, answer.text
        if answer.status_code != 200:
            said = answer.json()
            assert said.get("detail") or said.get("error"), said
            return False
        event = answer.json().get("event_id") if isinstance(answer.json(), dict) else None
        if event is None:
            return True
        name = path.rsplit("/", 1)[-1]
        text = http.get(f"/gradio_api/call/{name}/{event}").text
        assert "Traceback" not in text, text
        *_, ended = re.findall(r"^event: (\w+)\ndata: (.*)$", text, re.MULTILINE)
        if ended[0] == "error":
            assert json.loads(ended[1]).get("error"), f"an error without a sentence: {text}"
        return bool(ended[0] == "complete")

    inputs = damage.calls(endpoints, count, file)
    return tally(((f"{path} {body[:200]!r}", (path, body)) for path, body in inputs), count, use)


def main() -> None:
    """All of it, against an app in this process."""
    from diffusers import DDIMPipeline

    from tests.conftest import write_tiny_checkpoint
    from tests.tiny_pipelines import ddim, unet
    from ui.models import Shelf
    from ui.page import build, launch_settings

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["GRADIO_TEMP_DIR"] = str(folder / "cache")
        whole = write_tiny_checkpoint(folder / "checkpoints" / "tiny")
        (whole / "README.md").write_text("# A card\n")
        results = {"uploads and masks": uploads(UPLOADS, LatentDiffusion.load(whole, "cpu"), folder)}
        results["checkpoints"] = checkpoints(CHECKPOINTS, whole, folder)
        DDIMPipeline(unet(), ddim()).save_pretrained(folder / "saved")
        results["checkpoints of diffusers"] = checkpoints(CHECKPOINTS, folder / "saved", folder)
        page = build(Shelf.around(whole, "cpu"))
        _, address, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, **launch_settings())
        Image.new("RGB", (40, 30), "teal").save(folder / "photo.png")
        with httpx.Client(base_url=address, timeout=2 * PATIENCE, trust_env=False) as http:
            results["calls"] = calls(CALLS, http, (folder / "photo.png").read_bytes())
        page.close(verbose=False)
    out = sys.stdout.write
    out("| damaged | inputs | used | refused in a sentence | anything else | longest, s | growth, MB |\n")
    out("|---" * 7 + "|\n")
    for kind, tallied in results.items():
        total = tallied.used + tallied.refused + len(tallied.wrong)
        row = [kind, total, tallied.used, tallied.refused, len(tallied.wrong)]
        out("| " + " | ".join(map(str, [*row, f"{tallied.slowest:.1f}", f"{tallied.growth:.0f}"])) + " |\n")
    wrong = [line for tallied in results.values() for line in tallied.wrong]
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
