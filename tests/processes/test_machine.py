"""That full memory is known for what it is, and that training leaves the machine usable."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ddpm_core.commands import train
from ddpm_core.machine import BACKGROUND_NICENESS, let_others_go_first, memory_is_full, use_threads
from tests.command_lines import assert_refused

ROOT = Path(__file__).resolve().parents[2]

# The priority of a process that runs a module as `python -m` does, afterwards.
PRIORITY = """
import contextlib, os, runpy, sys
module, sys.argv = sys.argv[1], ["train", "--help"]
with contextlib.suppress(SystemExit):
    runpy.run_module(module, run_name="__main__", alter_sys=True)
print(os.getpriority(os.PRIO_PROCESS, 0))
"""


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("MPS backend out of memory (MPS allocated: 17.81 GB)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried to"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:80] DefaultCPUAllocator: not enough memory: you tried to"),
    ],
)
def test_full_memory_is_distinguished_from_other_errors(error: RuntimeError) -> None:
    assert memory_is_full(error)
    assert not memory_is_full(RuntimeError("Expected all tensors to be on the same device"))


def test_what_this_pytorch_says_of_full_memory_is_understood() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**62, dtype=torch.uint8)
    assert memory_is_full(caught.value)


# Manners


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 2), (3, 3), (4, 3), (8, 7), (64, 63)])
def test_of_many_cores_one_is_left_free(cores: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    thread_counts: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", thread_counts.append)
    assert use_threads(None) == threads
    monkeypatch.setenv("OMP_NUM_THREADS", str(cores))
    assert use_threads(None) == cores
    assert use_threads(5) == 5
    assert thread_counts == [threads, cores, 5]


def test_the_command_computes_with_as_many_threads_as_requested(call, picture_folder: Path, tmp_path: Path) -> None:
    command = ["--data", picture_folder, "--out", tmp_path / "run", "--preset", "tiny", "--device", "cpu", "--dry-run"]
    outcome = call(train.main, *command, "--stage", "vae", "--batch-size", 1, "--threads", 2)
    assert outcome.status == 0
    assert "threads: 2" in outcome.out
    assert torch.get_num_threads() == 2
    for count in (0, 1025):
        assert_refused(call(train.main, *command, "--threads", count), "threads", str(count))


def test_training_goes_behind_everything_else_and_only_when_it_is_a_process_of_its_own() -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    command = [sys.executable, "-c", PRIORITY, "ddpm_core.train"]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert int(output.split()[-1]) == max(before, BACKGROUND_NICENESS) > 0
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


def test_priority_is_never_raised_and_left_alone_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    niceness_values: list[int] = []
    monkeypatch.setattr(os, "setpriority", lambda which, who, niceness: niceness_values.append(niceness))
    for niceness in (0, 15):
        monkeypatch.setattr(os, "getpriority", lambda which, who, niceness=niceness: niceness)
        let_others_go_first()
    assert niceness_values == [BACKGROUND_NICENESS, 15]
    monkeypatch.delattr(os, "setpriority")
    let_others_go_first()
