"""Many visitors at a real app process, who generate, inpaint, edit, and look at processes; what became of it all."""

from __future__ import annotations

import io
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from tests.visitor import PATIENCE, App, Refused, Visitor

KINDS = ("generate", "inpaint", "process", "edit")
EVERY = 1.0  # seconds between two looks at memory and files
MB = 1e6


@dataclass
class Report:
    """What came of it.

    Attributes:
        served: how many requests of each kind were answered with a picture that could be fetched.
        refused: how many were turned away in a sentence, by its beginning.
        errors: whatever else came, as it was told.
        waits: seconds from asking to the picture.
        memory: (seconds since the beginning, bytes) of the app.
        files: the same of what it keeps on disk.
    """

    served: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    files: list[tuple[float, float]] = field(default_factory=list)

    def memory_at(self, begin: float, end: float) -> float:
        """The median of the app's memory between two times, bytes."""
        return median(size for at, size in self.memory if begin <= at <= end)

    def table(self, seconds: float) -> str:
        """The report as lines; growth is from the second fifth to the last, after warming up."""
        fifth = seconds / 5
        early, late = self.memory_at(fifth, 2 * fifth), self.memory_at(seconds - fifth, seconds)
        kinds = ", ".join(f"{kind} {self.served[kind]}" for kind in KINDS)
        told = ", ".join(f"{count} x {sentence!r}" for sentence, count in self.refused.most_common()) or "none"
        lines = [
            f"served        {sum(self.served[kind] for kind in KINDS)} in {seconds:.0f} s: {kinds}",
            f"waits         median {median(self.waits):.1f} s, longest {max(self.waits):.1f} s",
            f"refused       {told}",
            f"errors        {len(self.errors)}",
            f"memory        {early / MB:.0f} MB in the second fifth, {late / MB:.0f} MB in the last: "
            f"{100 * (late / early - 1):+.1f} %",
            f"files         at most {max(size for _, size in self.files) / MB:.0f} MB",
        ]
        return "\n".join(lines + [f"error         {error}" for error in self.errors[:10]])


def photo(width: int, height: int) -> bytes:
    """A JPEG of smooth colours with a little grain, as a camera makes them; quick to make at any size."""
    draw = np.random.default_rng(0)
    small = Image.fromarray(draw.integers(0, 256, (12, 18, 3), dtype=np.uint8))
    large = small.resize((width, height), Image.Resampling.BICUBIC)
    large.save(file := io.BytesIO(), "jpeg", quality=90)
    return file.getvalue()


def mask(width: int, height: int) -> bytes:
    """A PNG that paints the middle."""
    painted = Image.new("L", (width, height))
    painted.paste(255, (width * 2 // 5, height * 2 // 5, width * 3 // 5, height * 3 // 5))
    painted.save(file := io.BytesIO(), "png")
    return file.getvalue()


def load(
    app: App, files: Path, visitors: int, seconds: float, size: tuple[int, int], pause: float, least: int = 0
) -> Report:
    """Let visitors come for some time, each from an address of its own and with an upload of that size.

    Args:
        files: folder of all that the app keeps on disk.
        pause: seconds between a picture and the visitor's next request, on average.
        least: they go on coming until the page and each kind was served so often, which may take `PATIENCE` more.
    """
    report, begun = Report(), time.monotonic()
    pictures = photo(*size), mask(*size)
    changing, over = threading.Lock(), threading.Event()

    def count(what: Counter[str], which: str, waited: float | None = None) -> None:
        with changing:
            if not over.is_set():  # from then on, the app is being ended
                what[which] += 1
                report.waits += [waited] * (waited is not None and which != "page")

    def visit(number: int) -> None:
        draw, turn, kind = random.Random(number), number, "page"
        with Visitor(app.address, x_forwarded_for=f"198.51.100.{number % 250 + 1}") as visitor:
            while not over.is_set():
                asked = time.monotonic()
                try:
                    if kind == "page":
                        visitor.learn()
                    else:
                        request(visitor, kind, draw, pictures)
                except Refused as refusal:
                    count(report.refused, str(refusal).split(":")[0].split(";")[0])
                except Exception as error:
                    with changing:
                        if not over.is_set():
                            report.errors.append(f"{kind}: {error!r}"[:300])
                else:
                    count(report.served, kind, time.monotonic() - asked)
                if hasattr(visitor, "parameters"):  # the page has come
                    kind, turn = KINDS[turn % len(KINDS)], turn + 1
                time.sleep(draw.uniform(0, 2 * pause))

    threads = [threading.Thread(target=visit, args=(number,), daemon=True) for number in range(visitors)]
    for thread in threads:
        thread.start()
    while (at := time.monotonic() - begun) < seconds + PATIENCE:
        if at >= seconds and all(report.served[kind] >= least for kind in ("page", *KINDS)):
            break
        report.memory.append((at, app.metric("process_resident_memory_bytes")))
        report.files.append((at, size_of(files)))
        time.sleep(EVERY)
    with changing:
        over.set()
        return report  # those who still wait for something are not waited for


def request(visitor: Visitor, kind: str, draw: random.Random, pictures: tuple[bytes, bytes]) -> None:
    """One request of a kind, and its first file fetched. Raises `Refused`, `LookupError` and httpx's errors."""
    seed = draw.randrange(10**6)
    calls: dict[str, Callable[[], list[Any]]] = {
        "generate": lambda: visitor.call("generate", seed=seed, count=draw.choice((1, 1, 2, 4)))[0],
        "inpaint": lambda: visitor.call("inpaint", seed=seed, picture=upload(), mask=paint())[0],
        "process": lambda: [visitor.call("process", seed=seed, steps=10)[0]],
        "edit": lambda: visitor.call("edit", seed=seed, picture=upload())[0],
    }

    def upload() -> dict[str, Any]:
        return visitor.upload(pictures[0] + str(seed).encode(), "photo.jpg")  # no two are the same file

    def paint() -> dict[str, Any]:
        return visitor.upload(pictures[1], "mask.png")

    assert visitor.fetch(calls[kind]()[0])


def size_of(folder: Path) -> float:
    """Bytes of all files in a folder, as far as they stay there."""
    held = 0.0
    for place, _, names in os.walk(folder):  # which goes by what is gone meanwhile
        for name in names:
            with suppress(OSError):
                held += os.stat(os.path.join(place, name)).st_size
    return held
