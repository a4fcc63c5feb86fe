"""The end of the app: what is in line is made and handed over, nothing new is taken."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from typing import NoReturn

import gradio as gr

from ui.serving.line import line_of

HANDED_OVER = 3.0  # seconds in which pages are told, and fetch the last pictures


def serve_until(page: gr.Blocks, stop: threading.Event, grace: float) -> None:
    """Serve until `stop` is set, then `finish` within `grace` seconds, and close; Ctrl+C closes at once."""
    try:
        while page.is_running and not stop.wait(0.1):
            pass
        if stop.is_set():
            finish(page, grace)
    except KeyboardInterrupt:
        pass
    page.close(verbose=False)


def leave() -> NoReturn:
    """End the process without taking the interpreter apart: a thread that comes back from PyTorch into one that is gone
    aborts.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def finish(page: gr.Blocks, grace: float) -> None:
    """Take nothing new, and wait, `grace` seconds at most, until what is in line has been made."""
    line, until = line_of(page), time.monotonic() + grace
    line.close_to_new()
    if line.idle:
        return
    while not line.idle and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(HANDED_OVER)
