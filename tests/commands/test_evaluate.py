"""The command that measures a checkpoint, called as a user's shell does."""

from __future__ import annotations

import json
from pathlib import Path

from ddpm_core.commands import evaluate
from tests.command_lines import assert_refused


def test_evaluating_prints_and_writes_the_measures(call, tiny_checkpoint: Path, picture_folder: Path, tmp_path: Path):
    report = tmp_path / "measures.json"
    arguments = ["--checkpoint", tiny_checkpoint, "--data", picture_folder, "--json", report]
    arguments += ["--device", "cpu", "--samples", 8, "--fills", 2]
    outcome = call(evaluate.main, *arguments)
    assert outcome.status == 0
    measures = json.loads(report.read_text())
    assert all(name in outcome.out for name in measures)
    assert measures["pictures"] == 1
    assert measures["kept_max_diff"] == 0
    assert len(measures["swd"]) == len(measures["swd_floor"]) == 2  # 32 and 16 pixels
    for name in ("psnr", "gradient_ratio", "locality_radius", "locality_3x3", "memorised_share", "seam_ratio"):
        assert isinstance(measures[name], int | float), name
    assert min(measures["nearest_distance"], measures["nearest_distance_floor"]) > 0


def test_evaluating_without_pictures_is_refused(call, tiny_checkpoint: Path, tmp_path: Path) -> None:
    assert_refused(call(evaluate.main, "--checkpoint", tiny_checkpoint, "--data", tmp_path), "no pictures")
