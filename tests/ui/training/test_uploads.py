"""Uploaded pictures, packed for a run, and what is wrong with them said at once."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from PIL import Image

from ddpm_core.data.find import find
from tests.zip_methods import packed_with
from ui.errors import Problem
from ui.training.uploads import pack


def test_an_archive_that_the_run_could_not_read_is_refused_by_its_method(tmp_path: Path) -> None:
    archive = packed_with(9, tmp_path / "explorer.zip", "0.png", "1.png")
    with pytest.raises(Problem, match=r"explorer\.zip is packed with Deflate64") as caught:
        pack([str(archive)], tmp_path / "kept.zip")
    assert str(tmp_path) not in str(caught.value)
    assert not (tmp_path / "kept.zip").exists()


def test_pictures_are_packed_and_archives_kept_as_they_are(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (9, 9)).save(tmp_path / name)
    pack([str(tmp_path / "a.png"), str(tmp_path / "b.png")], tmp_path / "one.zip")
    assert len(find(tmp_path / "one.zip").sources["train"]) == 2
    pack([str(tmp_path / "one.zip")], tmp_path / "other.zip")
    assert (tmp_path / "other.zip").read_bytes() == (tmp_path / "one.zip").read_bytes()


def test_mixtures_and_strangers_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w"):
        pass
    for files, words in {
        ("x.zip", "a.png"): "not both",
        ("notes.txt",): "neither a .zip nor a picture",
        (): "first",
    }.items():
        with pytest.raises(Problem, match=words):
            pack([str(tmp_path / name) for name in files], tmp_path / "kept.zip")
