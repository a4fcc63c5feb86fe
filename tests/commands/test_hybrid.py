"""`python -m ddpm_core.hybrid`, called as a user's shell does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ddpm_core.commands import hybrid
from ddpm_core.images.files import read_parameters
from tests.command_lines import assert_refused


def test_every_picture_is_written_as_it_is_and_as_it_is_seen_from_afar(
    call, class_checkpoint: Path, tmp_path: Path
) -> None:
    asked = ["--seed", 1, "--steps", 2, "--class", "ant", "--other", "bee", "--blur", 2, "--out", tmp_path / "h"]
    outcome = call(hybrid.main, "--checkpoint", class_checkpoint, *asked)
    assert outcome.status == 0, outcome.err
    assert outcome.out == f"Wrote 2 pictures to {tmp_path / 'h'}: 1.png, 1-from-afar.png\n"
    assert sorted(path.name for path in (tmp_path / "h").iterdir()) == ["1-from-afar.png", "1.png"]
    near, far = (np.asarray(Image.open(tmp_path / "h" / name), float) for name in ("1.png", "1-from-afar.png"))
    assert np.abs(np.diff(far, axis=0)).mean() < np.abs(np.diff(near, axis=0)).mean() / 2
    said = read_parameters(tmp_path / "h" / "1.png")
    assert (said["action"], said["label"], said["other"], said["blur"]) == ("hybrid", "ant", "bee", 2)


def test_a_checkpoint_that_makes_no_hybrids_says_so(call, tiny_checkpoint: Path, tmp_path: Path) -> None:
    outcome = call(hybrid.main, "--checkpoint", tiny_checkpoint, "--out", tmp_path / "h")
    assert_refused(outcome, "makes no hybrids")
    assert not (tmp_path / "h").exists()


def test_a_hybrid_of_nothing_in_particular_is_refused(call, class_checkpoint: Path, tmp_path: Path) -> None:
    common = ["--checkpoint", class_checkpoint, "--steps", 1, "--out", tmp_path / "h"]
    assert_refused(call(hybrid.main, *common), "neither is named; choose from: 1, ant, bee")
    assert not (tmp_path / "h").exists()
    assert call(hybrid.main, *common, "--other", "bee").status == 0
