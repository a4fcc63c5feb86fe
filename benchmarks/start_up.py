"""What starting the app costs: the time to the first page, and the first press of *Generate*.

The first page is timed from starting `python app.py` until its address answers, beside importing torch and gradio, what
any such app pays. A press goes through the API. The first comes as soon as the page is there, with no kernel compiled
yet (an empty cache of numba's), beside those that follow.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx
from gradio_client import Client

from benchmarks.pipeline import CHECKPOINT
from benchmarks.results import Result, Unmeasured
from benchmarks.timing import medians
from ui.page import TITLE

ROOT = Path(__file__).resolve().parents[1]
STARTS, FIRST_PRESSES, LATER_PRESSES = 5, 3, 5
TIMES_IMPORTS, TIMES_LATER = 1.5, 1.5
PATIENCE = 120.0  # seconds, for an answer
POLL_SECONDS = 0.02  # seconds, while waiting for the first page


def start_up(checkpoint: Path = CHECKPOINT, repeats: int = STARTS, first_presses: int = FIRST_PRESSES) -> list[Result]:
    """How many times longer the first page takes than the imports, and a first press than later ones.

    Raises:
        Unmeasured: the app ended instead.
    """
    seconds = medians({"imports": imports, "first page": lambda: first_page(checkpoint)}, repeats, warmup=1)
    pressed = [presses(checkpoint) for _ in range(first_presses)]
    times = median(first / later for first, later in pressed)
    return [
        Result.at_most("start-up: first page / imports", seconds["first page"] / seconds["imports"], TIMES_IMPORTS),
        *(Result(f"start-up: {name}, s", value) for name, value in seconds.items()),
        Result.at_most("start-up: first press / later ones", times, TIMES_LATER),
        Result("start-up: first press, s", median(first for first, _ in pressed)),
        Result("start-up: later press, s", median(later for _, later in pressed)),
    ]


def imports() -> None:
    """Import torch and gradio in a process of its own."""
    subprocess.run([sys.executable, "-c", "import torch, gradio"], cwd=ROOT, check=True)


def first_page(checkpoint: Path) -> None:
    """Start the app, wait for its page, end it. Raises `Unmeasured` if none comes."""
    with started(checkpoint, os.environ):
        pass


def presses(checkpoint: Path, later: int = LATER_PRESSES) -> tuple[float, float]:
    """Seconds of the first press on a fresh installation, and the median of later ones'.

    Raises:
        Unmeasured: the app ended, or its page did not come.
    """
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as empty,  # the app may still be compiling into it
        started(checkpoint, os.environ | {"NUMBA_CACHE_DIR": empty}) as address,
    ):
        client = Client(address, verbose=False, httpx_kwargs={"trust_env": False})
        seconds = []
        for seed in range(1 + later):
            start = time.perf_counter()
            client.predict(seed=seed, api_name="/generate")
            seconds.append(time.perf_counter() - start)
    return seconds[0], median(seconds[1:])


@contextmanager
def started(checkpoint: Path, environment: dict[str, str] | os._Environ[str]) -> Iterator[str]:
    """The address of an app whose page has just come, for as long as it runs.

    Raises:
        Unmeasured: the app ended, or its page did not come.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "app.py", "--port", str(port), "--checkpoint", str(checkpoint.resolve())]
    app = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    )
    address = f"http://127.0.0.1:{port}/"
    try:
        patience = time.monotonic() + PATIENCE
        while not answers(address):
            if app.poll() is not None:
                raise Unmeasured(f"the app ended at once: {app.stderr.read().strip() if app.stderr else ''}")
            if time.monotonic() > patience:
                raise Unmeasured(f"the app's page did not come within {PATIENCE:.0f} s.")
            time.sleep(POLL_SECONDS)
        yield address
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
