"""The command that measures a checkpoint, called as a user's shell does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ddpm_core.commands import evaluate
from ddpm_core.errors import UserError
from ddpm_core.evaluation import checkpoint
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


def test_a_stop_loses_nothing_that_was_measured_and_one_sees_how_far_it_was(
    call, tiny_checkpoint: Path, picture_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*arguments: object) -> None:
        raise UserError("stopped here.")

    monkeypatch.setattr(checkpoint, "measure_likelihood", stopped)
    report = tmp_path / "measures.json"
    outcome = call(evaluate.main, "--checkpoint", tiny_checkpoint, "--data", picture_folder, "--json", report)
    assert outcome.status == 2
    assert outcome.err.endswith("Error: stopped here.\n")
    measures = json.loads(report.read_text())
    assert {"psnr", "denoising_loss"} < measures.keys()
    assert all(name in outcome.out for name in measures)
    for line in (
        r"1 of 7: reconstruction",
        r"reconstructing 1/1 .* left",
        r"denoising 10/10 .* left",
        r"3 of 7: likelihood",
    ):
        assert re.search(line, outcome.err), line


def test_evaluating_without_pictures_is_refused(call, tiny_checkpoint: Path, tmp_path: Path) -> None:
    assert_refused(call(evaluate.main, "--checkpoint", tiny_checkpoint, "--data", tmp_path), "no pictures")
