"""The claims of `python -m benchmarks`: by name, what measures each."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import memory
from benchmarks.results import Result

CLAIMS: dict[str, Callable[[], list[Result]]] = {
    "memory": memory.measure,
}
