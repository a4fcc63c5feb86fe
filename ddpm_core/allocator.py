"""The C library's memory allocator, told that a program which trains needs the same memory again a moment later."""

from __future__ import annotations

import ctypes
import platform

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
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, -1))
