"""`python -m ddpm_core.anagram`, called as a user's shell does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ddpm_core.commands import anagram
from ddpm_core.images.files import read_parameters
from tests.command_lines import assert_refused


def test_every_picture_is_written_as_it_is_and_as_it_is_seen_otherwise(
    call, class_checkpoint: Path, tmp_path: Path
) -> None:
    asked = ["--seed", 3, "--count", 2, "--steps", 2, "--class", "ant", "--other", "bee", "--view", "turned-180"]
    outcome = call(anagram.main, "--checkpoint", class_checkpoint, *asked, "--out", tmp_path / "a")
    assert outcome.status == 0, outcome.err
    four = "3.png, 3-turned-180.png, 4.png, 4-turned-180.png"
    assert outcome.out == f"Wrote 4 pictures to {tmp_path / 'a'}: {four}\n"
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["3-turned-180.png", "3.png", "4-turned-180.png", "4.png"]
    plain, turned = (np.asarray(Image.open(tmp_path / "a" / name)) for name in ("4.png", "4-turned-180.png"))
    assert (plain[::-1, ::-1] == turned).all()
    said = read_parameters(tmp_path / "a" / "4.png")
    assert (said["action"], said["seed"], said["label"], said["other"]) == ("anagram", 4, "ant", "bee")


def test_where_classes_could_be_named_and_none_is_it_says_what_it_makes(
    call, class_checkpoint: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    def said(checkpoint: Path, *asked: object) -> str:
        return call(anagram.main, "--checkpoint", checkpoint, "--steps", 1, "--out", tmp_path, *asked).out

    plain = f"Wrote 2 pictures to {tmp_path}: 0.png, 0-upside-down.png\n"
    sentence = "Nothing is named, so it may be anything insects knows either way; --class and --other name two.\n"
    assert said(class_checkpoint) == sentence + plain
    assert said(class_checkpoint, "--other", "bee") == plain
    assert said(tiny_checkpoint) == plain  # which knows one kind of thing


def test_a_view_that_the_codec_does_not_have_is_refused_before_a_folder_is_made(
    call, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    outcome = call(anagram.main, "--checkpoint", tiny_checkpoint, "--view", "negated", "--out", tmp_path / "a")
    assert_refused(outcome, "negated", "choose from")
    assert not (tmp_path / "a").exists()
