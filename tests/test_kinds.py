"""Unit tests start nothing; what starts something is an integration test by its place, a fixture or its mark."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import kinds

ROOT = Path(__file__).parent


@pytest.mark.parametrize(
    ("file", "fixtures", "integration"),
    [
        ("browser/test_studio.py", set(), True),
        ("faults/test_survival.py", set(), True),
        ("test_words_end_to_end.py", set(), True),
        ("ui/api/test_endpoints.py", {"client"}, True),
        ("ui/api/test_endpoints.py", {"shelf"}, False),
        ("diffusion/test_steps.py", set(), False),
    ],
)
def test_place_and_fixtures_tell_what_a_test_is(file: str, fixtures: set[str], integration: bool) -> None:
    assert (ROOT / file).is_file()
    assert kinds.is_integration(ROOT / file, fixtures) is integration


def test_every_folder_of_integration_tests_is_there() -> None:
    assert all((ROOT / folder).is_dir() for folder in kinds.FOLDERS)


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (lambda: subprocess.run([sys.executable, "-c", ""], check=True), "a program"),
        (lambda: multiprocessing.get_context("spawn").Process(target=print).start(), "a process"),
    ],
)
def test_a_unit_test_that_starts_something_fails(start: Any, what: str) -> None:
    with pytest.raises(pytest.fail.Exception, match=f"a unit test starts {what}; .*pytest.mark.integration"):
        start()


def test_what_a_library_starts_is_its_own_business() -> None:
    assert subprocess.run(["true"], check=False).returncode == 0


@pytest.mark.integration
def test_an_integration_test_may_start_something() -> None:
    assert subprocess.run([sys.executable, "-c", ""], check=False).returncode == 0
