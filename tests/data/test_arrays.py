"""Pictures in arrays, in MNIST's layout and the spellings of it that mean the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddpm_core.data.find import DataSet, find
from ddpm_core.data.load import load_pictures
from ddpm_core.images.files import PictureError


def mnist(count: int = 6, side: int = 28) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    return {
        "x_train": draw.integers(0, 256, (count, side, side), dtype=np.uint8),
        "y_train": (np.arange(count) % 3 + 8).astype(np.uint8),
        "x_test": draw.integers(0, 256, (2, side, side), dtype=np.uint8),
        "y_test": np.array([10, 9], np.uint8),
    }


def test_arrays_in_mnists_layout_are_pictures_with_classes(tmp_path: Path) -> None:
    given = mnist()
    np.savez(tmp_path / "x.npz", **given)  # type: ignore[arg-type]
    found = find(tmp_path / "x.npz")
    assert found.classes == ("8", "9", "10")
    assert found.labels == {"train": [0, 1, 2, 0, 1, 2], "val": [2, 1]}
    loaded = load_pictures(found.sources["train"], 32, labels=found.labels["train"])
    assert loaded.labels is not None
    assert loaded.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert np.array_equal(loaded.pixels[:, 1, 2:30, 2:30].numpy(), given["x_train"])  # in the middle, not resampled
    assert np.array_equal(loaded.pixels[:, 0, 0, 2:30].numpy(), given["x_train"][:, 0])  # the edge goes on


def test_arrays_may_be_in_colour_without_classes_and_without_a_test_part(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", x_train=pixels)
    found = find(tmp_path / "x.npz")
    assert found.classes == ()
    assert [len(found.sources[part]) for part in ("train", "val")] == [38, 2]
    assert np.array_equal(np.asarray(found.sources["train"][0]), pixels[0])
    np.savez(tmp_path / "y.npz", **mnist())  # type: ignore[arg-type]
    assert find(tmp_path / "y.npz", "none").classes == ()
    with pytest.raises(PictureError, match="its own classes"):
        find(tmp_path / "y.npz", "folder")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x_train": None}, "x_train has to be uint8"),
        ({"x_train": np.zeros((6, 28, 28))}, "x_train has to be uint8"),
        ({"x_train": np.zeros((6, 784), np.uint8)}, "x_train has to be uint8"),
        ({"x_test": np.zeros((2, 0, 28), np.uint8)}, "x_test has to be uint8"),
        ({"y_train": np.zeros(5, np.uint8)}, "y_train has to be one number"),
        ({"x_train": np.array([{"a": "pickle"}], dtype=object)}, "cannot be read"),
        ({"x_train": np.zeros((0, 28, 28), np.uint8), "y_train": np.zeros(0)}, "no pictures"),
    ],
)
def test_arrays_in_another_layout_are_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    given = {name: value for name, value in (mnist() | change).items() if value is not None}
    np.savez(tmp_path / "x.npz", **given)
    with pytest.raises(PictureError, match=words) as caught:
        find(tmp_path / "x.npz")
    assert "x.npz" in str(caught.value)


def test_a_file_that_holds_no_arrays_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"no arrays")
    with pytest.raises(PictureError, match="cannot be read as arrays"):
        find(tmp_path / "x.npz")


def found_in(tmp_path: Path, **change: Any) -> DataSet:
    np.savez(tmp_path / "x.npz", **(mnist() | change))
    return find(tmp_path / "x.npz")


def same_pictures(one: DataSet, other: DataSet) -> bool:
    return all(
        np.array_equal(np.asarray(a), np.asarray(b))
        for part in ("train", "val")
        for a, b in zip(one.sources[part], other.sources[part], strict=True)
    )


@pytest.mark.parametrize(
    "labels",
    [
        np.arange(6)[:, None] % 3 + 8,
        (np.arange(6) % 3 + 8).astype(np.float32),
        (np.arange(6) % 3 + 8).astype(str),
        (np.arange(6) % 3 + 8).astype("S")[:, None],
    ],
    ids=["in a column, as CIFAR's", "whole numbers as floats", "words", "bytes"],
)
def test_labels_may_be_spelled_in_many_ways(tmp_path: Path, labels: np.ndarray) -> None:
    found = found_in(tmp_path, y_train=labels)
    assert found.classes == ("8", "9", "10")
    assert found.labels == {"train": [0, 1, 2, 0, 1, 2], "val": [2, 1]}  # those of y_test are numbers still


def test_names_of_classes_in_bytes_are_text(tmp_path: Path) -> None:
    names = [name.encode() for name in ("café", "tea ")] * 3
    assert found_in(tmp_path, y_train=np.array(names)).classes == ("café", "tea")


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_may_come_first_or_last_and_one_may_be_written_out(tmp_path: Path, channels: int) -> None:
    last = np.random.default_rng(0).integers(0, 256, (6, 16, 24, channels), dtype=np.uint8)
    plain = found_in(tmp_path, x_train=last[..., 0] if channels == 1 else last)
    assert same_pictures(found_in(tmp_path, x_train=last), plain)
    assert same_pictures(found_in(tmp_path, x_train=last.transpose(0, 3, 1, 2)), plain)


def test_where_both_ends_could_be_the_channels_they_come_last(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 3, 8, 3), dtype=np.uint8)
    assert np.asarray(found_in(tmp_path, x_train=pixels).sources["train"][0]).shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"y_train": np.arange(6) / 4}, "some of its numbers are not whole"),
        ({"y_train": np.full(6, np.nan)}, "some of its numbers are not whole"),
        ({"y_train": np.eye(6)}, r"float64 \(6, 6\) for 6 pictures"),
        ({"y_train": np.arange(6)[None]}, r"\(1, 6\) for 6 pictures"),
        ({"x_train": np.zeros((6, 5, 28, 28), np.uint8)}, r"it is uint8 \(6, 5, 28, 28\)"),
    ],
)
def test_what_is_ambiguous_or_no_class_is_refused_with_what_it_is(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(PictureError, match=words):
        found_in(tmp_path, **change)


def test_arrays_of_other_names_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=np.zeros((6, 28, 28), np.uint8), targets=np.zeros(6))
    with pytest.raises(PictureError, match="the arrays are: images, targets"):
        find(tmp_path / "x.npz")


def test_a_single_array_under_that_name_is_refused(tmp_path: Path) -> None:
    with open(tmp_path / "x.npz", "wb") as file:
        np.save(file, np.zeros((6, 28, 28), np.uint8))
    with pytest.raises(PictureError, match=r"x\.npz cannot be read as arrays"):
        find(tmp_path / "x.npz")
