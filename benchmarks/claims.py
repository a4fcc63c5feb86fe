"""The claims of `python -m benchmarks`: by name, what measures each."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import denoiser, memory, serpentine
from benchmarks.results import Result

CLAIMS: dict[str, Callable[[], list[Result]]] = {
    "serpentine": serpentine.measure,
    "denoiser": denoiser.measure,
    "memory": memory.measure,
}
