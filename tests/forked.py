"""A command in a process of its own that has imported everything when it starts, to be killed and started often."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
import torch._dynamo

from ddpm_core import cli as options
from ddpm_core.commands import train

# A server forks them. It is a fresh process: one in which threads ran, as safetensors starts some, cannot be forked.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.forked", "pytest"])


def start(arguments: Sequence[object], output: Path, prepare: Callable[[], object] | None = None) -> BaseProcess:
    """Begin `python -m ddpm_core.train ARGUMENTS`; what it says goes to the file `output`.

    Args:
        prepare: called in the new process first; a function of a module.
    """
    process = _CONTEXT.Process(target=_train, args=([str(a) for a in arguments], output, prepare))
    process.start()
    return process


def finish(arguments: Sequence[object], output: Path, prepare: Callable[[], object] | None = None) -> int | None:
    """The same to its end; its exit status."""
    process = start(arguments, output, prepare)
    process.join()
    return process.exitcode


def _train(arguments: list[str], output: Path, prepare: Callable[[], object] | None) -> None:
    torch.set_num_threads(1)
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    if prepare:
        prepare()
    sys.argv = ["train", *arguments]
    options.run(train.main)
