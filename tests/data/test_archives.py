"""Archives whose files are packed in ways that Python does not know."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddpm_core.data.find import find
from ddpm_core.images.files import PictureError
from tests.zip_methods import packed_with


@pytest.mark.parametrize(("method", "name"), [(9, "Deflate64"), (98, "PPMd"), (95, "XZ"), (77, "method 77")])
def test_a_method_that_python_does_not_know_is_named_before_any_picture_is_tried(
    tmp_path: Path, method: int, name: str
) -> None:
    archive = packed_with(method, tmp_path / "x.zip", "0.png", "1.png")
    with pytest.raises(PictureError, match=rf"x\.zip is packed with {name}.*2 of its files, 0\.png first.*unpack"):
        find(archive)


def test_what_is_no_picture_may_be_packed_as_it_likes(tmp_path: Path) -> None:
    found = find(packed_with(9, tmp_path / "x.zip", "0.png", "film.mp4", only=".mp4"))
    assert len(found.sources["train"]) == 1
    assert found.unused == "1 .mp4"


def test_a_table_that_cannot_be_unpacked_is_no_table_without_a_word(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"packed with Deflate64.*labels\.csv"):
        find(packed_with(9, tmp_path / "x.zip", "0.png", "labels.csv", only=".csv"))


def test_arrays_packed_so_are_refused_by_the_method(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"x\.npz cannot be read as arrays: .*"):
        find(packed_with(9, tmp_path / "x.npz", "x_train.npy"))
