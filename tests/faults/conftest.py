"""The run that nothing happened to, and plots that take no time."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddpm_core.training.record import plots
from tests import forked
from tests.runs import flags


@pytest.fixture(autouse=True)
def plots_written_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of this process write plots as empty files: matplotlib's drawing is half of a run of two steps.

    Processes of their own draw them, and what they show is tested beside their module.
    """
    monkeypatch.setattr(plots.Figure, "savefig", lambda figure, file, format: Path(file).write_bytes(b""))


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """A run that nothing happened to; tests only read it."""
    out = tmp_path_factory.mktemp("whole") / "run"
    output = out.parent / "output"
    assert forked.finish(flags(photos, out), output) == 0, output.read_text()
    return out
