"""`python -m ddpm_core.edit`, called as a user's shell does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm_core.commands import edit
from ddpm_core.images.files import read_parameters
from tests.command_lines import assert_refused


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)).save(path)
    return path


def test_the_middle_of_the_picture_is_made_anew_at_the_models_size(
    call, tiny_checkpoint: Path, photo: Path, tmp_path: Path
) -> None:
    def edited(name: str, *arguments: object) -> Path:
        out = tmp_path / "new folder" / name
        given = ["--checkpoint", tiny_checkpoint, "--steps", 4, "--seed", 3, "--out", out]
        outcome = call(edit.main, photo, *given, *arguments)
        assert (outcome.status, outcome.out) == (0, f"Wrote {out}.\n")
        return out

    weak, strong = edited("weak.png", "--strength", 0.25), edited("strong.png", "--strength", 1)
    said = read_parameters(weak)
    assert (said["action"], said["seed"], said["steps"], said["strength"]) == ("edit", 3, 4, 0.25)
    assert Image.open(weak).size == (32, 32)
    assert (np.asarray(Image.open(weak)) != np.asarray(Image.open(strong))).any()

    # What lies well beyond the middle square is not seen.
    pixels = np.array(Image.open(photo))
    pixels[:, :5] = pixels[:, -5:] = 0
    Image.fromarray(pixels).save(photo)
    assert (np.asarray(Image.open(weak)) == np.asarray(Image.open(edited("again.png", "--strength", 0.25)))).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--strength", "0"], ["strength", "'0.0'"]),
        (["--strength", "1.2"], ["strength", "'1.2'"]),
        (["--checkpoint", "missing"], ["missing"]),
    ],
)
def test_what_cannot_be_done_is_reported_in_a_sentence(
    call, tiny_checkpoint: Path, photo: Path, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    outcome = call(edit.main, photo, "--checkpoint", tiny_checkpoint, "--out", tmp_path / "out.png", *arguments)
    assert_refused(outcome, *words)
    assert not (tmp_path / "out.png").exists()


def test_a_file_that_is_no_picture_is_named(call, tiny_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.png").write_text("not a picture")
    arguments = ["--checkpoint", tiny_checkpoint, "--out", tmp_path / "out.png"]
    assert_refused(call(edit.main, tmp_path / "letter.png", *arguments), "letter.png is not a picture")


@pytest.mark.parametrize(("name", "words"), [("edited.jpg", ".png"), ("edited", ".png"), ("", "is a folder")])
def test_a_suffix_is_the_format_or_is_refused_before_the_work(
    call, tiny_checkpoint: Path, photo: Path, tmp_path: Path, name: str, words: str
) -> None:
    arguments = ["--checkpoint", tiny_checkpoint, "--out", tmp_path / name]
    assert_refused(call(edit.main, photo, *arguments), str(tmp_path / name), words)
    assert [path.name for path in tmp_path.glob("*.*")] == ["photo.png"]
