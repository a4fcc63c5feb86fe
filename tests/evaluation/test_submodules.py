"""Importing one module of a package without what its other modules need."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ddpm_core.evaluation.submodules import submodule


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package that cannot be imported whole, for one of its modules needs what is nowhere."""
    folder = tmp_path / "half_needed"
    folder.mkdir()
    (folder / "__init__.py").write_text("from half_needed.other import thing\n")
    (folder / "other.py").write_text("from nowhere_to_be_found import thing\n")
    (folder / "helpers.py").write_text("def double(x):\n    return 2 * x\n")
    (folder / "wanted.py").write_text("from half_needed.helpers import double\n\n\ndef four():\n    return double(2)\n")
    monkeypatch.syspath_prepend(tmp_path)
    return "half_needed"


def loaded(package: str) -> list[str]:
    return [name for name in sys.modules if name.split(".")[0] in (package, "nowhere_to_be_found")]


def test_a_module_works_without_what_others_of_its_package_need(package: str) -> None:
    assert submodule(package, "wanted").four() == 4
    assert loaded(package) == []
    with pytest.raises(ModuleNotFoundError, match="nowhere_to_be_found"):
        __import__(package)


def test_what_the_module_itself_needs_is_missed_and_nothing_half_done_stays(package: str) -> None:
    with pytest.raises(ModuleNotFoundError, match="nowhere_to_be_found"):
        submodule(package, "other")
    assert loaded(package) == []


def test_a_package_that_is_not_there_is_named() -> None:
    with pytest.raises(ModuleNotFoundError) as caught:
        submodule("nowhere_to_be_found", "wanted")
    assert caught.value.name == "nowhere_to_be_found"


def test_a_package_that_is_loaded_is_used_as_it_is(package: str) -> None:
    import json.decoder

    assert submodule("json", "decoder") is json.decoder
    assert sys.modules["json"] is json
