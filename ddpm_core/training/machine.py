"""What a long run has to know of the machine it shares: free memory, cores, and how to stay out of the way."""

from __future__ import annotations

import os
import re
from pathlib import Path

import torch

MEMINFO = Path("/proc/meminfo")
CGROUPS = (  # of a container: limit, use, and the line of memory.stat with what the kernel can take back; version 2, 1
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
POLITE = 10  # niceness, of 19: whoever uses the machine goes first
MANY_CORES = 4  # of so many, one is left free

# What PyTorch says where it has no exception of its own for it: on CPU under Linux and Windows, and on Apple's GPUs.
FULL = re.compile(r"can't allocate memory|not enough memory|out of memory", re.IGNORECASE)


def memory_is_full(error: RuntimeError) -> bool:
    """Whether an error of PyTorch says that there was no memory left for a tensor."""
    return isinstance(error, torch.OutOfMemoryError) or FULL.search(str(error)) is not None


def available_memory() -> int | None:
    """Bytes of main memory that programs can still take; None where it cannot be found out.

    On Linux what the kernel thinks it could give, or what a container's limit leaves of it; elsewhere, for want of
    better, all that is built in.
    """
    try:
        free = 1024 * int(_entry(MEMINFO, "MemAvailable:"))
    except (OSError, ValueError):
        return _built_in()
    return min([free, *_left_in_containers()])


def _left_in_containers() -> list[int]:
    found = []
    for folder, limit, use, spare in CGROUPS:
        try:
            taken = int((folder / use).read_text()) - int(_entry(folder / "memory.stat", spare))
            found.append(int((folder / limit).read_text()) - taken)
        except (OSError, ValueError):  # no such version, or "max", no limit
            continue
    return found


def _entry(table: Path, name: str) -> str:
    """The number behind a name in one of the kernel's tables; empty if there is none."""
    rows = (line.split() for line in table.read_text().splitlines())
    return next((row[1] for row in rows if row[0] == name), "")


def _built_in() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def use_threads(count: int | None) -> int:
    """Have PyTorch compute with so many threads, and say with how many.

    None leaves it at what PyTorch takes by itself, a thread per core, but for one core of four or more, which stays
    free for whoever uses the machine; and wholly at that if OMP_NUM_THREADS says how many.
    """
    if count is None:
        count = torch.get_num_threads()
        if count >= MANY_CORES and not os.environ.get("OMP_NUM_THREADS"):
            count -= 1
    torch.set_num_threads(count)
    return count


def let_others_go_first() -> None:
    """Lower this process's priority for good: it computes with what time others leave. Nothing happens on Windows."""
    if hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, 0, max(POLITE, os.getpriority(os.PRIO_PROCESS, 0)))
