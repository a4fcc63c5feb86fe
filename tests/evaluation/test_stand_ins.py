"""Importing one part of a library without what its other parts need."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ddpm_core.evaluation.stand_ins import imported


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that cannot be imported without two others, one of which is nowhere and one of which is loaded."""
    (tmp_path / "half_needed.py").write_text(
        "import json\nfrom nowhere_to_be_found import thing\n\n\ndef wanted():\n    return json\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "half_needed", raising=False)
    return "half_needed"


def test_what_is_not_needed_is_stood_in_for_and_what_is_loaded_is_left(library: str) -> None:
    import json

    module = imported(library, ["nowhere_to_be_found", "json"])
    assert module.wanted() is json
    assert "nowhere_to_be_found" not in sys.modules
    assert sys.modules["json"] is json


def test_what_is_missing_otherwise_is_missed_and_stand_ins_go_all_the_same(library: str) -> None:
    with pytest.raises(ModuleNotFoundError, match="nowhere_to_be_found"):
        imported(library, ["elsewhere"])
    assert "elsewhere" not in sys.modules
