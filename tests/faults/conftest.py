"""The run that nothing happened to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import forked
from tests.runs import flags


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """A run that nothing happened to; tests only read it."""
    out = tmp_path_factory.mktemp("whole") / "run"
    output = out.parent / "output"
    assert forked.finish(flags(photos, out), output) == 0, output.read_text()
    return out
