"""Two kinds of tests: unit tests, and integration tests, which start programs, open the page, or train a whole run.

`python -m pytest -m "not integration"` runs the unit tests alone. What stands in `FOLDERS`, tells what crosses folders
(`*_end_to_end.py`) or uses one of `OPENED` is an integration test; others say so: `@pytest.mark.integration`. A unit
test that starts something all the same fails.
"""

from __future__ import annotations

import multiprocessing.process
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent
FOLDERS = ("benchmarks", "browser", "deploy", "faults", "load", "processes", "shipped")
OPENED = {"client"}  # fixtures of several files that open the page


def is_integration(path: Path, fixtures: set[str]) -> bool:
    """Whether a test in this file that uses these fixtures is one of integration, though it does not say so."""
    inside = path.relative_to(ROOT)
    return inside.parts[0] in FOLDERS or path.stem.endswith("_end_to_end") or bool(OPENED & fixtures)


def pytest_itemcollected(item: pytest.Item) -> None:
    if is_integration(item.path, set(getattr(item, "fixturenames", ()))):
        item.add_marker("integration")


class Watch:
    """Lets unit tests start nothing, in whichever of their fixtures."""

    def __init__(self) -> None:
        self.item: pytest.Item | None = None

    def started(self, what: str) -> None:
        """Something is started by the test that runs, which fails if it is a unit test."""
        if self.item is not None and self.item.get_closest_marker("integration") is None:
            pytest.fail(f"a unit test starts {what}; if it has to, mark it: @pytest.mark.integration")

    def watched(
        self, what: str, plain: Callable[..., Any], if_: Callable[..., bool] = lambda *_, **__: True
    ) -> Callable[..., Any]:
        """`plain`, which starts `what`, noticed if these arguments say so."""

        def start(*arguments: Any, **named: Any) -> Any:
            if if_(*arguments, **named):
                self.started(what)
            return plain(*arguments, **named)

        return start


watch = Watch()


def is_ours(popen: subprocess.Popen, args: Any, *_: Any, **__: Any) -> bool:
    """Whether a program is an interpreter, as all of ours are; ffmpeg, say, is the business of a library."""
    return sys.executable in ([args] if isinstance(args, str | bytes | os.PathLike) else args)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    watch.item = item
    try:
        return (yield)  # type: ignore[return-value]
    finally:
        watch.item = None


@pytest.fixture(scope="session", autouse=True)
def unit_tests_start_nothing() -> Iterator[None]:
    """Programs, processes and pages are noticed as they are started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess.Popen, "__init__", watch.watched("a program", subprocess.Popen.__init__, if_=is_ours))
        process = multiprocessing.process.BaseProcess
        patch.setattr(process, "start", watch.watched("a process", process.start))
        yield
