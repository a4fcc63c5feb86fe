"""Programs in processes of their own that have imported everything when they start: to be killed and started often.

Importing PyTorch and Gradio is most of what starting one costs.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch
import torch._dynamo

from ddpm_core import cli as options
from ddpm_core.commands import train
from tests.runs import leave_undrawn

ROOT = Path(__file__).resolve().parents[1]
# A server forks them. It is a fresh process: one in which threads ran, as safetensors starts some, cannot be forked.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.forked", "ui.page", "pytest"])


def start(arguments: Sequence[object], output: Path, prepare: Callable[[], object] | None = None) -> BaseProcess:
    """Begin `python -m ddpm_core.train ARGUMENTS`, plots undrawn; what it says goes to the file `output`.

    Args:
        prepare: called in the new process first; a function of a module.
    """
    return _begin(_train, arguments, output, prepare)


def finish(arguments: Sequence[object], output: Path, prepare: Callable[[], object] | None = None) -> int | None:
    """The same to its end; its exit status."""
    process = start(arguments, output, prepare)
    process.join()
    return process.exitcode


def open_app(arguments: Sequence[object], output: Path, environment: Mapping[str, str]) -> Program:
    """Begin `python app.py ARGUMENTS` with these variables beside those there are."""
    return Program(_begin(_app, arguments, output, dict(environment), daemon=True))


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Program:
    """A forked process, which is dealt with as one of `subprocess`."""

    def __init__(self, process: BaseProcess):
        self._process = process
        self.pid = process.pid or 0

    def poll(self) -> int | None:
        """Its exit status, if it has ended."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; its exit status. Raises `subprocess.TimeoutExpired`."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("app.py", timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _begin(
    target: Callable[..., None], arguments: Sequence[object], output: Path, *rest: object, daemon: bool = False
) -> BaseProcess:
    output.touch()  # whoever waits for the process reads it, maybe before the process has come to writing
    process = _CONTEXT.Process(target=target, args=([str(a) for a in arguments], output, *rest), daemon=daemon)
    process.start()
    return process


def _speak_into(output: Path) -> None:
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


def _train(arguments: list[str], output: Path, prepare: Callable[[], object] | None) -> None:
    torch.set_num_threads(1)
    leave_undrawn(pytest.MonkeyPatch())
    _speak_into(output)
    if prepare:
        prepare()
    sys.argv = ["train", *arguments]
    options.run(train.main)


def _app(arguments: list[str], output: Path, environment: dict[str, str]) -> None:
    from ui import studio

    _speak_into(output)
    os.environ |= environment
    os.chdir(ROOT)
    tempfile.tempdir = None  # which is looked up once
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", len(os.sched_getaffinity(0)))))
    sys.argv = ["app.py", *arguments]
    studio.command()
