"""How `pytest -n auto --dist loadfile` spreads the tests over processes, so that the cores are busy until the end.

A file's tests stay together, for they share fixtures. Those in a browser are two halves, each of which shares an app
and a Chromium. They wait as much as they compute, so there is one process more than there are cores: others fill the
waiting.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

BROWSER = "tests/browser/"
# By time, half of what is in a browser; whatever is not named is in the other half.
HALF = ("asking_in_words", "edit_play", "look_inside", "painting", "security", "studio", "waiting_in_line")
# Folders whose files take longest begin: what is left at the end is short, and no process waits for another's last.
FIRST = (
    BROWSER, "tests/faults/", "tests/load/", "tests/processes/", "tests/benchmarks/", "tests/deploy/",
    "tests/training/", "tests/ui/",
)  # fmt: skip


def rank(nodeid: str) -> int:
    """The place of a test's folder in `FIRST`, or the one behind all of them."""
    return next((place for place, folder in enumerate(FIRST) if nodeid.startswith(folder)), len(FIRST))


def together(nodeid: str) -> str:
    """What a test stays together with: its file, or half of all that is in a browser."""
    file = nodeid.partition("::")[0]
    if not nodeid.startswith(BROWSER):
        return file
    return f"{BROWSER}, {'one' if file in [f'{BROWSER}test_{name}.py' for name in HALF] else 'other'} half"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: rank(item.nodeid))  # stable: a folder's tests keep their order


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: Any) -> int | None:
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None  # somebody knows better
    left_out = any(BROWSER.rstrip("/") in str(path) for path in config.getoption("ignore") or ())
    waiting = not (left_out or config.getoption("markexpr") == "not integration")
    return waiting + (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Spreading(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return together(nodeid)

    config.option.loadscopereorder = False  # by number of tests: the longest files have few
    return Spreading(config, log)
