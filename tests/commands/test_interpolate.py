"""`python -m ddpm_core.interpolate`, called as a user's shell does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm_core.commands import interpolate, sample
from ddpm_core.images.files import read_parameters
from tests.command_lines import assert_refused


def test_the_pictures_between_two_seeds_are_numbered_and_end_at_those_of_the_seeds(
    call, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    common = ["--checkpoint", tiny_checkpoint, "--steps", 3]
    way = ["--seed", 3, "--to", 9, "--count", 4, "--out", tmp_path / "way"]
    outcome = call(interpolate.main, *common, *way)
    named = "00.png, 01.png, 02.png, 03.png"
    assert (outcome.status, outcome.out) == (0, f"Wrote 4 pictures to {tmp_path / 'way'}: {named}\n")
    made = sorted((tmp_path / "way").iterdir())
    assert [path.name for path in made] == ["00.png", "01.png", "02.png", "03.png"]
    assert [read_parameters(path)["start"] for path in made] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    for seed, path in ((3, made[0]), (9, made[-1])):
        call(sample.main, *common, "--seed", seed, "--out", tmp_path / "ends")
        end = np.asarray(Image.open(tmp_path / "ends" / f"{seed}.png"), int)
        assert np.abs(np.asarray(Image.open(path), int) - end).max() <= 1


@pytest.mark.parametrize("suffix", ["gif", "mp4"])
def test_a_suffix_asks_for_a_walk_there_and_back(call, tiny_checkpoint: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / "new folder" / f"walk.{suffix}"
    asked = ["--steps", 2, "--count", 3, "--size", 32, "--seconds", 1, "--out", out]
    outcome = call(interpolate.main, "--checkpoint", tiny_checkpoint, *asked)
    assert (outcome.status, outcome.out) == (0, f"Wrote {out}.\n")
    if suffix == "gif":
        with Image.open(out) as gif:
            assert (gif.n_frames, gif.size) == (5, (32, 32))  # type: ignore[attr-defined]
    else:
        assert b"ftyp" in out.read_bytes()[:12]


def test_what_cannot_be_done_is_reported_in_a_sentence(call, tiny_checkpoint: Path, tmp_path: Path) -> None:
    for arguments, words in [
        (["--out", tmp_path / "walk.mov"], ["walk.mov", ".gif or .mp4"]),
        (["--out", tmp_path / "way", "--count", 17], ["count", "'17'"]),
        (["--out", tmp_path / "way", "--class", "ant"], ["without classes"]),
    ]:
        assert_refused(call(interpolate.main, "--checkpoint", tiny_checkpoint, *arguments), *words)
    assert not list(tmp_path.iterdir())
