"""Freed memory is kept where the C library can be told so."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from ddpm_core import machine as allocator

ROOT = Path(__file__).resolve().parents[2]
GLIBC = platform.libc_ver()[0] == "glibc"

# Pages taken from the kernel by the second half of sixteen rounds in which 64 MB are filled and freed.
FAULTS = """
import resource, sys, torch
from ddpm_core.machine import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
for turn in range(16):
    if turn == 8:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(2):
        torch.ones(8 * 2**20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

# Megabytes that a process holds on to after 256 of them were freed, and after it gave them back.
KEEPS_FREED_MEMORY = """
import torch
from ddpm_core.machine import give_back_freed_memory, keep_freed_memory
def held():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1]) // 1024
keep_freed_memory()
before = held()
torch.ones(64 * 2**20)
kept = held() - before
assert give_back_freed_memory()
print(kept, held() - before)
"""

# Megabytes that a process holds on to after eight threads have each had large blocks four times over, and freed them.
UPLOADS = """
import sys, threading
from ddpm_core.machine import give_back_large_blocks
if sys.argv[1] == "back":
    assert give_back_large_blocks()
def held():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1]) // 1024
stays, together = [], threading.Barrier(8)
def visitor():
    for _ in range(4):
        together.wait()
        blocks = [b"x" * (24 * 2**20) for _ in range(2)]
        stays.append([bytes(600) for _ in range(20)])
        blocks.clear()
before = held()
threads = [threading.Thread(target=visitor) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(held() - before)
"""


@pytest.mark.skipif(not GLIBC, reason="only glibc has mallopt")
def test_threads_give_large_blocks_back() -> None:
    def held(how: str) -> int:
        command = [sys.executable, "-c", UPLOADS, how]
        return int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)

    assert held("back") < 50
    assert held("default") > 100  # if not, the C library does it by itself


@pytest.mark.skipif(not GLIBC, reason="only glibc has mallopt")
def test_what_was_kept_can_be_given_back() -> None:
    command = [sys.executable, "-c", KEEPS_FREED_MEMORY]
    kept, left = map(int, subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split())
    assert kept > 200
    assert left < 50


@pytest.mark.skipif(not GLIBC, reason="only glibc has mallopt")
def test_what_is_freed_is_not_asked_of_the_kernel_again() -> None:
    pages = 2**25 // resource.getpagesize()  # of one such tensor

    def faults(how: str) -> int:
        command = [sys.executable, "-c", FAULTS, how]
        return int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)

    assert faults("kept") < pages // 8
    assert faults("default") > pages  # if not, the C library does it by itself and this module may go


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not allocator.keep_freed_memory()
    assert not allocator.give_back_freed_memory()
    assert not allocator.give_back_large_blocks()
