"""What is left of a stage's run, however it ends."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ddpm_core.checkpoints.native import CARD, CONFIG
from ddpm_core.training.record import report as reports
from ddpm_core.training.record.report import reported

pytestmark = pytest.mark.usefixtures("drawn")


@pytest.fixture
def out(trained: Path, tmp_path: Path) -> Path:
    """A folder with the record of a run, without what is drawn from it."""
    out = tmp_path / "run"
    shutil.copytree(trained, out)
    (out / CARD).unlink()
    (out / "training" / "loss-vae.png").unlink()
    return out


def test_a_run_that_ends_by_itself_leaves_plots_and_a_card(out: Path) -> None:
    with reported(out, "vae"):
        assert not (out / CARD).exists()
    assert (out / CARD).read_text(encoding="utf-8").startswith("# run\n")
    assert (out / "training" / "loss-vae.png").is_file()


def test_so_does_one_that_is_interrupted_and_the_interruption_goes_on(out: Path) -> None:
    with pytest.raises(KeyboardInterrupt), reported(out, "vae"):
        raise KeyboardInterrupt
    assert (out / CARD).is_file()
    assert (out / "training" / "loss-vae.png").is_file()


def test_what_ended_a_run_is_told_even_where_its_report_cannot_be_written(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(reports, "write_card", full)
    with pytest.raises(KeyError), reported(out, "vae"):
        raise KeyError
    with pytest.raises(OSError, match="no space left"), reported(out, "vae"):
        pass


def test_a_run_that_saved_nothing_has_nothing_to_describe(tmp_path: Path) -> None:
    with reported(tmp_path, "vae"):
        pass
    assert not (tmp_path / CONFIG).exists()
    assert list(tmp_path.iterdir()) == []
