"""The machine: device, floating type, threads, memory."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch.nn import functional as F

from ddpm_core.errors import UserError, lookup

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Choice = Literal["fp32", "bf16"]  # between which a processor's timing decides
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

BACKGROUND_NICENESS = 10  # niceness, of 19: whoever uses the machine goes first
MANY_CORES = 4  # of so many, one is left free
ROUNDS = 7  # in each of which both types are timed, one after the other
ODD_ONES = 1  # of these rounds that may say otherwise, for a timing to be kept
TICK = 1e-3  # seconds; a clock that is coarser tells nothing of what takes a few thousandths of a second
GAIN = 0.9  # bf16 has to take at most so much of the time of fp32, or its rounding is for nothing

MEMINFO = Path("/proc/meminfo")
CGROUPS = (  # of a container: limit, use, and the line of memory.stat with what the kernel can take back; version 2, 1
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
# What PyTorch says where it has no exception of its own for it: on CPU under Linux and Windows, and on Apple's GPUs.
FULL = re.compile(r"can't allocate memory|not enough memory|out of memory", re.IGNORECASE)
# From glibc's malloc.h; see mallopt(3).
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -3, -4, -8
LARGE_BLOCK, HEAPS = 2**24, 2  # bytes, more than any activation of a picture; heaps of a server


class NoSuchDevice(UserError):
    """A device asked for that this machine does not have."""


def pick_device(name: str = "auto") -> torch.device:
    """The device of that name; "auto" takes a GPU if there is one.

    Raises:
        NoSuchDevice: this machine has no such device.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, here in available.items() if here))
    kind = name.split(":")[0]
    if not available.get(kind, False):
        usable = ", ".join(kind for kind, here in available.items() if here)
        raise NoSuchDevice(f"there is no device {name!r} on this machine; choose from: auto, {usable}.")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise NoSuchDevice(f"{name!r} is no device; choose one like cpu, or cuda:0 for the first GPU.") from None
    if kind == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise NoSuchDevice(
            f"there is no GPU {device.index} on this machine; it has {torch.cuda.device_count()}, from 0."
        )
    return device


def resolve_precision(precision: Precision, device: torch.device) -> torch.dtype:
    """The autocast type of that name; "auto" is the faster of bf16 and fp32, and fp16 on GPUs too old for bf16.

    Raises:
        UserError: there is no such precision.
    """
    if precision != "auto":
        return lookup(DTYPES, "precision", precision)
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    # Processors are timed, since flags do not tell: with bf16 vector instructions alone (avx512_bf16), AMD's take two
    # thirds of the time of fp32, and Intel's up to twice.
    return DTYPES[faster_precision()] if device.type == "cpu" else torch.float32


@lru_cache
def faster_precision() -> Choice:
    """What this processor computes faster in, timed and, once that is clear, kept in the user's cache folder.

    Processes that begin at once all go by what the first has written.
    """
    machine, file = _timed_on(), _cache_folder() / "precision.json"
    if known := _read_choices(file).get(machine):
        return known
    choice, clear = time_precisions()
    # Kept, since a second timing might say otherwise on a busy day, and change a seed's picture by a rounding; but not
    # what is unclear, or a mistake of a busy moment would stay for ever.
    if clear:
        with contextlib.suppress(OSError):  # without a place to keep it, it is timed anew by every process
            _keep_choice(file, machine, choice)
    return _read_choices(file).get(machine, choice)


@torch.inference_mode()
def time_precisions() -> tuple[Choice, bool]:
    """Which type is faster, and whether that is clear: all rounds say so but `ODD_ONES`."""
    # Robust against whatever else runs: both types take turns, each counts by its best round, and by the time that one
    # thread spent on the processor, not the time that passed.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several wait for each other, and whoever waits is on the processor, too
    try:
        work: dict[Choice, Callable[[], None]] = {"fp32": _work_in("fp32"), "bf16": _work_in("bf16")}
        seconds = [{precision: _seconds_of(one) for precision, one in work.items()} for _ in range(ROUNDS + 1)]
    finally:
        torch.set_num_threads(threads)
    seconds = seconds[1:]  # the first sets things up
    said = [_verdict(each) for each in seconds]
    choice = _verdict({precision: min(each[precision] for each in seconds) for precision in work})
    return choice, said.count(choice) >= ROUNDS - ODD_ONES


def _verdict(seconds: Mapping[Choice, float]) -> Choice:
    return "bf16" if seconds["bf16"] < GAIN * seconds["fp32"] else "fp32"


def _work_in(precision: Choice) -> Callable[[], None]:
    dtype = DTYPES[precision]
    rows, matrix = torch.ones(1024, 512, dtype=dtype), torch.ones(512, 512, dtype=dtype)
    cells = torch.ones(8, 128, 16, 16, dtype=dtype).contiguous(memory_format=torch.channels_last)
    kernel = torch.ones(128, 128, 3, 3, dtype=dtype).contiguous(memory_format=torch.channels_last)

    def work() -> None:
        rows @ matrix
        F.conv2d(cells, kernel, padding=1)

    return work


def _seconds_of(work: Callable[[], None]) -> float:
    """Seconds of this thread on the processor; of the wall clock where these are only counted by its tick."""
    fine = time.get_clock_info("thread_time").resolution < TICK
    clock = time.thread_time if fine else time.perf_counter
    begun = clock()
    work()
    return clock() - begun


def _timed_on() -> str:
    """What a kept choice is about."""
    # The last words tell it from those of earlier versions, made by the wall clock.
    return f"{_processor()}, torch {torch.__version__}, in rounds"


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                flags = "amx" if "amx_bf16" in cpu_flags() else "avx512_bf16" if "avx512_bf16" in cpu_flags() else ""
                return f"{line.partition(':')[2].strip()} {flags}".strip()
    return platform.processor() or platform.machine()


@lru_cache
def cpu_flags() -> str:
    """The processor's feature flags as Linux lists them; empty elsewhere."""
    info = Path("/proc/cpuinfo")
    return next((line for line in info.open() if line.startswith("flags")), "") if info.exists() else ""


def _cache_folder() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return Path(home or Path.home() / ".cache") / "ddpm-core"


def _read_choices(file: Path) -> dict[str, Choice]:
    """What machines were found to be faster in, as far as the file makes sense."""
    try:
        choices = json.loads(file.read_text(encoding="utf-8")).items()
    except (OSError, ValueError, AttributeError):
        return {}
    return {machine: choice for machine, choice in choices if choice in get_args(Choice)}


def _keep_choice(file: Path, machine: str, choice: Choice) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    choices = {machine: choice} | _read_choices(file)  # another process may have been first
    with tempfile.TemporaryDirectory(dir=file.parent) as room:
        partial = Path(room) / file.name
        partial.write_text(json.dumps(choices), encoding="utf-8")
        os.replace(partial, file)


def use_threads(count: int | None) -> int:
    """Have PyTorch compute with so many threads, and say with how many.

    None is OMP_NUM_THREADS if set, else a thread per core, but for one core of four or more, which stays free.
    """
    if count is None:
        count = torch.get_num_threads()
        if count >= MANY_CORES and not os.environ.get("OMP_NUM_THREADS"):
            count -= 1
    torch.set_num_threads(count)
    return count


def let_others_go_first() -> None:
    """Lower this process's priority for good; not on Windows."""
    if hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, 0, max(BACKGROUND_NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))


def load_average() -> tuple[float, int] | None:
    """How many processes wanted a CPU over the last minute, on average, and how many CPUs there are; None where nobody
    counts, as on Windows.
    """
    try:
        wanted = os.getloadavg()[0]
    except (AttributeError, OSError):
        return None
    return wanted, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_memory() -> int | None:
    """Bytes of main memory that programs can still take, in a container's limit; None where it cannot be found out."""
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


def memory_is_full(error: RuntimeError) -> bool:
    """Whether PyTorch's error says that there was no memory left for a tensor."""
    return isinstance(error, torch.OutOfMemoryError) or FULL.search(str(error)) is not None


def keep_freed_memory() -> bool:
    """Have glibc keep what is freed for the next allocation; False where that is not possible.

    Each training step on a CPU allocates what the last one freed; else the kernel would map and zero the same pages.
    """
    # No block is mapped apart and the heap is never trimmed. Not by a higher M_MMAP_THRESHOLD: glibc has refused more
    # than 32 MiB, and one activation may be larger.
    mallopt = _of_glibc("mallopt")
    return mallopt is not None and bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, -1))


def give_back_large_blocks() -> bool:
    """Have glibc hand back every large block when it is freed, from now on; False where that is not possible.

    For a server, before there are threads: each thread's heap would else keep the size of its largest upload.
    """
    mallopt = _of_glibc("mallopt")
    return mallopt is not None and bool(mallopt(M_ARENA_MAX, HEAPS)) and bool(mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK))


def give_back_freed_memory() -> bool:
    """Have glibc hand back, once, what is free now; whether there was anything."""
    trim = _of_glibc("malloc_trim")
    return trim is not None and bool(trim(0))


def _of_glibc(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if platform.libc_ver()[0] == "glibc" else None
