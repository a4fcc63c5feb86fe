"""What a long run has to know of the machine it shares: full memory, cores, and how to stay out of the way."""

from __future__ import annotations

import os
import re

import torch

POLITE = 10  # niceness, of 19: whoever uses the machine goes first
MANY_CORES = 4  # of so many, one is left free

# What PyTorch says where it has no exception of its own for it: on CPU under Linux and Windows, and on Apple's GPUs.
FULL = re.compile(r"can't allocate memory|not enough memory|out of memory", re.IGNORECASE)


def memory_is_full(error: RuntimeError) -> bool:
    """Whether an error of PyTorch says that there was no memory left for a tensor."""
    return isinstance(error, torch.OutOfMemoryError) or FULL.search(str(error)) is not None


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
