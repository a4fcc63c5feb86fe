"""Tests are spread over processes so that what shares fixtures stays together, and the longest begin."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import spreading

FOUND = [
    "tests/browser/test_studio.py::test_stop", "tests/browser/test_painting.py::test_stroke[a::b]",
    "tests/data/test_load.py::test_b", "tests/data/test_load.py::test_a", "tests/data/test_load.py::test_c",
    "tests/faults/test_survival.py::test_kill", "tests/test_cli.py::test_x", "tests/ui/test_page.py::test_page",
]  # fmt: skip


ROOT = Path(__file__).resolve().parents[1]
HALVES = ("tests/browser/, one half", "tests/browser/, other half")


class Process:
    """One of those that run tests, as a scheduler sees it; `tests` are those it was given."""

    shutting_down = False
    gateway = SimpleNamespace(id="one")

    def __init__(self, found: list[str]):
        self.found, self.tests = found, list[str]()

    def send_runtest_some(self, numbers: list[int]) -> None:
        self.tests += [self.found[number] for number in numbers]

    def shutdown(self) -> None:
        self.shutting_down = True


def ordered() -> list[str]:
    items: list[Any] = [SimpleNamespace(nodeid=nodeid) for nodeid in FOUND]
    spreading.pytest_collection_modifyitems(items)
    return [item.nodeid for item in items]


def scheduler(dist: str, processes: int) -> Any:
    option = SimpleNamespace(dist=dist, tx=[f"{processes}*popen"], loadscopereorder=True)
    return spreading.pytest_xdist_make_scheduler(
        SimpleNamespace(option=option, getvalue=lambda name: getattr(option, name)),  # type: ignore[arg-type]
        None,
    )


def test_what_takes_longest_begins_and_all_else_keeps_its_order() -> None:
    assert ordered() == [FOUND[number] for number in (0, 1, 5, 7, 2, 3, 4, 6)]


def test_what_stays_together_is_run_by_one_process() -> None:
    found = ordered()
    spread, processes = scheduler("loadfile", 2), [Process(found), Process(found)]
    for process in processes:
        spread.add_node(process)
        spread.add_node_collection(process, found)
    spread.schedule()
    for number in range(len(found)):
        for process in processes:
            if number < len(process.tests):
                spread.mark_test_complete(process, found.index(process.tests[number]))
    runs = [process.tests for process in processes]
    assert sorted(nodeid for run in runs for nodeid in run) == sorted(found)
    assert runs[0][:2] == FOUND[:2]  # two files, one app and one Chromium
    assert runs[1][0] == FOUND[5]
    assert any(FOUND[2:5] == run[at : at + 3] for run in runs for at in range(len(run)))


def test_what_is_in_a_browser_is_two_halves() -> None:
    files = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "tests" / "browser").glob("test_*.py"))
    halves = {half: [file for file in files if spreading.together(f"{file}::test") == half] for half in HALVES}
    assert sorted(file for half in halves.values() for file in half) == files
    assert [len(half) for half in halves.values()] == [len(spreading.HALF), len(files) - len(spreading.HALF)]


def test_another_way_to_spread_them_is_left_as_it_is() -> None:
    assert scheduler("load", 2) is None


def with_ignored(*paths: str, markexpr: str = "") -> Any:
    return SimpleNamespace(getoption={"ignore": list(paths), "markexpr": markexpr}.get)


def test_there_is_a_process_more_than_cores_for_what_waits_unless_one_says_how_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.delenv("PYTEST_XDIST_AUTO_NUM_WORKERS", raising=False)
    assert spreading.pytest_xdist_auto_num_workers(with_ignored()) == 5
    assert spreading.pytest_xdist_auto_num_workers(with_ignored("/anywhere/tests/browser")) == 4
    assert spreading.pytest_xdist_auto_num_workers(with_ignored(markexpr="not integration")) == 4
    monkeypatch.setenv("PYTEST_XDIST_AUTO_NUM_WORKERS", "7")
    assert spreading.pytest_xdist_auto_num_workers(with_ignored()) is None  # pytest-xdist reads it
