"""How much main memory the machine has left, whether it is a container or not."""

from __future__ import annotations

import os
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CGROUPS = (  # of a container: limit, use, and the line of memory.stat with what the kernel can take back; version 2, 1
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


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
