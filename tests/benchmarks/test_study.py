"""The study in small: trained, measured and printed by one command, which goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import study
from tests.command_lines import assert_refused


@pytest.fixture
def shades(tmp_path: Path) -> Path:
    """Dark pictures of class 3, light ones of class 5, in MNIST's layout."""
    draw, label = np.random.default_rng(0), np.arange(40) % 2
    pixels = (40 + 170 * label)[:, None, None] + draw.integers(-20, 20, (40, 16, 16))
    given = {"x": pixels.astype(np.uint8), "y": (3 + 2 * label).astype(np.uint8)}
    path = tmp_path / "shades.npz"
    np.savez(path, **{f"{name}_{part}": given[name] for name in given for part in ("train", "test")})
    return path


def test_one_command_trains_measures_and_goes_on(call, shades: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    flags = ["--data", shades, "--out", out, "--size", 16, "--iterations", 2, "--vae-iterations", 2, "--device", "cpu"]
    flags += ["--reader-iterations", 3, "--channels", "32", "--guidance", "3", "--steps", 2, "--most-steps", 20]
    first = call(study.main, *flags, "--pictures", 6)
    assert first.status == 0, first.err
    rows = [line.split(" | ")[0].removeprefix("| ") for line in first.out.splitlines() if line.startswith("| ")][2:]
    assert rows == [
        "held-out pictures", "DDIM 20", "autoencoder alone", "DDIM 2, guidance 3",
        "autoencoder + DDIM 2, guidance 1", "autoencoder + DDIM 2, guidance 3",
    ]  # fmt: skip
    kept = json.loads((out / study.ROWS).read_text())
    assert all({"read", "frechet", "kernel", "precision", "recall"} <= row.keys() for row in kept)
    assert 0 < kept[2]["megabytes"] < kept[4]["megabytes"]

    kept[1]["read"] = 0.125  # as if it had been: what is there is not measured again
    (out / study.ROWS).write_text(json.dumps(kept))
    again = call(study.main, *flags, "--pictures", 6)
    assert "| DDIM 20 | 0.125 |" in again.out


def test_what_cannot_be_compared_is_refused_before_the_work(call, picture_folder: Path, tmp_path: Path) -> None:
    assert_refused(call(study.main, "--data", picture_folder, "--out", tmp_path / "x"), "needs classes")
