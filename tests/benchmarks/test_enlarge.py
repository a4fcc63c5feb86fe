"""The table of enlarged pictures beside bicubic ones and the autoencoder's ceiling."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import enlarge
from tests.command_lines import assert_refused


def test_a_row_for_each_way_to_enlarge(call, picture_folder: Path, enlarging_checkpoint: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.json"
    command = ["--data", picture_folder, "--checkpoint", enlarging_checkpoint, "--device", "cpu"]
    outcome = call(enlarge.main, *command, "--pictures", 3, "--steps", 1, "--json", rows)
    assert outcome.status == 0, outcome.err
    assert outcome.out.splitlines()[0] == "| enlarged | PSNR, dB | gradient ratio | patch distance x 1000 |"
    found = {row["name"]: row for row in json.loads(rows.read_text())}
    assert list(found) == ["bicubic", "larger", "autoencoder alone"]
    ceiling = found["autoencoder alone"]  # of pixels: nothing is lost
    assert ceiling["psnr"] > 60
    assert abs(ceiling["edges"] - 1) < 1e-3
    assert found["bicubic"]["edges"] < 1
    assert found["larger"]["psnr"] < found["bicubic"]["psnr"]  # random weights


def test_a_checkpoint_that_does_not_enlarge_is_refused(call, picture_folder: Path, tiny_checkpoint: Path) -> None:
    given = ["--data", picture_folder, "--checkpoint", tiny_checkpoint, "--pictures", 1]
    assert_refused(call(enlarge.main, *given), "tiny makes pictures from noise", "--denoiser-enlarges")
