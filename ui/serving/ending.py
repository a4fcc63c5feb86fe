"""The end of the app: what is in line is made and handed over, what comes new is told to come back."""

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


def block_until_told(page: gr.Blocks, told: threading.Event, grace: float) -> None:
    """Serve until `told` to end; then finish what is in line, within `grace` seconds, and close.

    Ctrl+C ends at once.
    """
    try:
        while page.is_running and not told.wait(0.1):
            pass
        if told.is_set():
            finish(page, grace)
    except KeyboardInterrupt:
        pass
    page.close(verbose=False)


def leave() -> NoReturn:
    """End the process, as its end would, but for taking the interpreter apart.

    Threads of the server may still be on their way out, and one that comes back from PyTorch into an interpreter that
    is gone aborts the process.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def finish(page: gr.Blocks, grace: float) -> None:
    """Take nothing new, and wait until what is in line has been made."""
    line, until = line_of(page), time.monotonic() + grace
    line.close_to_new()
    if line.idle:
        return
    while not line.idle and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(HANDED_OVER)
