"""The C library's memory allocator, told that a program which trains needs the same memory again a moment later."""

from __future__ import annotations

import ctypes
import platform
from typing import Any

# From glibc's malloc.h; see mallopt(3).
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Have glibc keep what is freed for the next allocation; whether it does (never but on Linux with glibc).

    By default glibc maps every large block anew, hands it back when it is freed, and gives the free top of its heap
    back too. A training step frees all its activations and allocates as many in the next, so on a CPU the kernel
    would map the same pages and fill them with zeros at every step. Here no block is mapped apart (M_MMAP_MAX 0) and
    the heap is never trimmed (M_TRIM_THRESHOLD -1), so that after the first steps nothing is asked of the kernel. The
    process keeps its peak, which it reaches at every step anyway.

    Not by a higher M_MMAP_THRESHOLD: glibc has refused more than 32 MiB, and one activation may be larger.
    """
    mallopt = _of_glibc("mallopt")
    return mallopt is not None and bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, -1))


def give_back_freed_memory() -> bool:
    """Have glibc hand back what is free now, once, so that the kernel knows what is; whether there was anything.

    Between two stages: what the first has kept would look as if it were in use.
    """
    trim = _of_glibc("malloc_trim")
    return trim is not None and bool(trim(0))


def _of_glibc(name: str) -> Any:
    """A function of the C library, if that is glibc and has it."""
    return getattr(ctypes.CDLL(None), name, None) if platform.libc_ver()[0] == "glibc" else None
