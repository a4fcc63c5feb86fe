"""`python -m ddpm_core.enlarge`, called as a user's shell does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm_core.commands import enlarge
from ddpm_core.images.files import read_parameters
from tests.command_lines import assert_refused
from tests.conftest import write_enlarging_checkpoint


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (19, 33, 3), dtype=np.uint8)).save(path)
    return path


def test_the_whole_picture_comes_out_twice_as_large_and_says_how(
    call, enlarging_checkpoint: Path, photo: Path, tmp_path: Path
) -> None:
    made = []
    for level in (0, 0.2):
        out = tmp_path / f"{level}.png"
        how = ["--checkpoint", enlarging_checkpoint, "--steps", 2, "--seed", 3, "--noise-level", level]
        outcome = call(enlarge.main, photo, *how, "--out", out)
        assert (outcome.status, outcome.out) == (0, f"Wrote {out}.\n")
        said = read_parameters(out)
        assert (said["action"], said["checkpoint"], said["seed"]) == ("enlarge", "larger", 3)
        assert said["noise_level"] == level
        made.append(np.asarray(Image.open(out)))
        assert made[-1].shape == (38, 66, 3)
    assert (made[0] != made[1]).any()


def test_without_a_name_it_is_the_first_of_the_folder_that_enlarges(
    call, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [photo, "--steps", 1, "--out", tmp_path / "large.png"]
    assert_refused(call(enlarge.main, *given), "enlarges pictures", "--checkpoint", "--denoiser-enlarges 2")
    write_enlarging_checkpoint(tmp_path / "checkpoints" / "mine")
    assert call(enlarge.main, *given).status == 0
    assert read_parameters(tmp_path / "large.png")["checkpoint"] == "mine"


def test_what_cannot_be_done_is_reported_in_a_sentence(
    call, tiny_checkpoint: Path, enlarging_checkpoint: Path, photo: Path, tmp_path: Path
) -> None:
    out = ["--out", tmp_path / "large.png"]
    enlarging = ["--checkpoint", enlarging_checkpoint, *out]
    assert_refused(call(enlarge.main, photo, "--checkpoint", tiny_checkpoint, *out), "tiny", "--denoiser-enlarges")
    assert_refused(call(enlarge.main, photo, "--noise-level", 0.3, *enlarging), "noise level of 0.3", "0.2 is the most")
    Image.new("RGB", (500, 20)).save(photo)
    assert_refused(call(enlarge.main, photo, *enlarging), "500 x 20 pixels", "64 a side")
    assert not (tmp_path / "large.png").exists()
