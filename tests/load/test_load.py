"""The load in a short form; at full length it is `python -m tests.load`."""

from __future__ import annotations

from pathlib import Path

from tests.load.load import KINDS, load
from tests.visitor import running


def test_many_visitors_get_pictures_or_an_announced_refusal_and_nothing_piles_up(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    with running(tiny_checkpoint, tmp_path, "--trust-proxy", "127.0.0.1", "--max-waiting", "6") as app:
        report = load(app, tmp_path, visitors=12, seconds=8, size=(600, 400), pause=0.2, least=1)
        said = app.log.read_text()
    assert report.errors == []
    assert all(report.served[kind] for kind in ("page", *KINDS)), report.served
    assert set(report.refused) <= {"The studio is busy"}
    assert "Traceback" not in said
    assert not list(tmp_path.glob("studio-*"))  # folders of results go with their answers
