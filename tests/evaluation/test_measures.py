"""The table of `evaluate`: numbers beside what the shipped models aim at, and the JSON that has the numbers alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ddpm_core.commands import evaluate
from ddpm_core.evaluation.measures import AIMS, MEANING, table

# What a number has to be to be just right, and one that is just wrong.
EDGES: dict[str, tuple[list[Any], list[Any]]] = {
    "psnr": ([31, 40.0], [30.99]),
    "gradient_ratio": ([0.9, 1.2], [0.899]),
    "locality_3x3": ([0.995, 1.0], [0.9949]),
    "swd_ratio": ([[1.5, 1.5, 0.2]], [[1.4, 1.51], [1.51, 1.4]]),
    "memorised_share": ([0.0, 0.1], [0.101]),
    "class_accuracy": ([0.97, 1.0], [0.969]),
    "kept_max_diff": ([0], [1]),
    "seam_ratio": ([0.9, 1.0, 1.15], [0.899, 1.151]),
}
READER = {"classifier_accuracy": 0.99}


def line(name: str, value: Any, **others: Any) -> str:
    """The line that a measure has in the table."""
    (found,) = (one for one in table({name: value, **others}) if one.startswith(f"{name} "))
    return found.removesuffix(MEANING[name]).strip()


def test_numbers_are_judged_by_the_aims() -> None:
    assert EDGES.keys() == AIMS.keys() <= MEANING.keys()
    for name, (right, wrong) in EDGES.items():
        others = READER if name == "class_accuracy" else {}
        assert all(line(name, value, **others).endswith(" ok") for value in right), name
        assert all(line(name, value, **others).endswith(" missed") for value in wrong), name


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("psnr", 31.2, "31.2  >= 31       ok"),
        ("swd_ratio", [2.5, 1.25], "2.5 1.25  <= 1.5 each missed"),
        ("kept_max_diff", 3, "3  0           missed"),
        ("seam_ratio", 1.0, "1  0.9 to 1.15 ok"),
    ],
)
def test_the_aim_stands_between_number_and_verdict(name: str, value: Any, words: str) -> None:
    assert line(name, value).endswith(words)


def test_what_has_no_aim_or_was_not_measured_is_not_judged() -> None:
    for name, value in (("fill_distance", 36.0), ("features", "turns"), ("swd_ratio", None), ("memorised_share", None)):
        assert not line(name, value).endswith(("ok", "missed")), name
        assert "<=" not in line(name, value)


def test_a_classifier_that_reads_real_pictures_badly_judges_no_samples() -> None:
    accuracy = {"class_accuracy": 0.67, "classifier_accuracy": 0.69}
    assert line("class_accuracy", 0.67, classifier_accuracy=0.69).endswith("0.67")
    assert not any("0.97" in one for one in table(accuracy))


def test_evaluating_prints_aims_and_writes_numbers_alone(
    call, tiny_checkpoint: Path, picture_folder: Path, tmp_path: Path
) -> None:
    report = tmp_path / "measures.json"
    arguments = ["--checkpoint", tiny_checkpoint, "--data", picture_folder, "--json", report]
    outcome = call(evaluate.main, *arguments, "--device", "cpu", "--samples", 2, "--fills", 1)
    assert outcome.status == 0, outcome.err
    measures = json.loads(report.read_text())
    assert measures["kept_max_diff"] == 0
    assert measures["psnr"] < 31
    assert len(measures["denoising_loss"]) == 10
    lines = outcome.out.splitlines()
    (kept,) = (one for one in lines if one.startswith("kept_max_diff "))
    (psnr,) = (one for one in lines if one.startswith("psnr "))
    assert " ok " in kept
    assert " missed " in psnr


def test_the_help_says_whose_aims_they_are(call) -> None:
    assert "faces-128" in call(evaluate.main, "--help").out.split("Options")[0]
