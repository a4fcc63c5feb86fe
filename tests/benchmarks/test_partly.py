"""Importing one part of a library without what its other parts need."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.partly import imported


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that cannot be imported without two others, one of which is nowhere and one of which is loaded."""
    (tmp_path / "partly_needed.py").write_text(
        "import json\nfrom nowhere_to_be_found import Thing, maker\n\n\nclass Own(Thing):\n    pass\n\n\n"
        "def wanted():\n    return json\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "partly_needed", raising=False)
    return "partly_needed"


def test_what_is_not_needed_is_absent_and_what_is_loaded_is_left(library: str) -> None:
    import json

    module = imported(library, ["nowhere_to_be_found", "json"])
    assert module.wanted() is json
    assert "nowhere_to_be_found" not in sys.modules
    assert sys.modules["json"] is json


def test_what_is_absent_is_refused_where_it_is_needed_after_all(library: str) -> None:
    module = imported(library, ["nowhere_to_be_found"])
    for made in (module.Own, module.Thing, module.maker):
        with pytest.raises(NotImplementedError, match="was not to be needed"):
            made()


def test_what_is_missing_otherwise_is_missed_and_nothing_absent_stays(library: str) -> None:
    with pytest.raises(ModuleNotFoundError, match="nowhere_to_be_found"):
        imported(library, ["elsewhere"])
    assert "elsewhere" not in sys.modules
