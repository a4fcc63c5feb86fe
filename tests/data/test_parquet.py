"""Parquet as Hugging Face `datasets` writes it."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets as hub
import pyarrow.parquet
import pytest
import torch
from PIL import Image

from ddpm_core.commands import train
from ddpm_core.data.find import DataSet, find
from ddpm_core.data.load import load_pictures
from ddpm_core.images.files import PictureError, open_picture
from tests.command_lines import assert_refused


@pytest.fixture(autouse=True)
def no_traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the library keeps, it keeps in the test's own folder; and it draws no bars."""
    monkeypatch.setattr(hub.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(hub.config, "HF_MODULES_CACHE", tmp_path / "cache")
    hub.disable_progress_bars()


def write(path: Path, reds: Sequence[int], group: int = 100, **columns: tuple[Any, list[Any]]) -> Path:
    """A file of pictures with these numbers in the red channel, and further columns by feature and values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    features = {"image": hub.Image()} | {name: feature for name, (feature, _) in columns.items()}
    values = {"image": [Image.new("RGB", (9, 9), (red, 0, 0)) for red in reds]}
    rows = hub.Dataset.from_dict(values | {n: v for n, (_, v) in columns.items()}, features=hub.Features(features))
    rows.to_parquet(path, batch_size=group)
    return path


def animals(*labels: int) -> tuple[Any, list[int]]:
    return hub.ClassLabel(names=["dog", "cat", "2"]), list(labels)


def classes_of(found: DataSet, part: str = "train") -> dict[int, str]:
    """The class of each picture, by what is in its red channel."""
    numbers = [open_picture(source).getpixel((0, 0))[0] for source in found.sources[part]]  # type: ignore[index]
    names = (*found.classes, "")
    return {number: names[label] for number, label in zip(numbers, found.labels[part], strict=True)}


def test_a_file_has_pictures_and_their_classes_by_name(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.parquet", [5, 6, 7, 8], label=animals(1, 0, -1, 2), caption=(hub.Value("string"), [""] * 4)
    )
    before = sorted(tmp_path.rglob("*"))
    found = find(path)
    assert found.classes == ("2", "cat", "dog")
    assert classes_of(found) == {5: "cat", 6: "dog", 7: "", 8: "2"}
    loaded = load_pictures(found.sources["train"], 8, labels=found.labels["train"])
    assert loaded.pixels[:, 0, 0, 0].tolist() == [5, 6, 7, 8]
    assert sorted(tmp_path.rglob("*")) == before  # no copies of the pictures in any cache


def test_a_folder_of_files_is_read_by_the_parts_they_are_named_after(tmp_path: Path) -> None:
    write(tmp_path / "data" / "train-00000-of-00002.parquet", [0, 1], label=animals(0, 1))
    write(tmp_path / "data" / "train-00001-of-00002.parquet", [2, 3], label=animals(1, 0))
    write(tmp_path / "data" / "validation-00000-of-00001.parquet", [4], label=animals(1))
    write(tmp_path / "data" / "test-00000-of-00001.parquet", [5], label=animals(0))
    (tmp_path / "README.md").write_text("about")
    found = find(tmp_path)
    assert classes_of(found) == {0: "dog", 1: "cat", 2: "cat", 3: "dog"}
    assert classes_of(found, "val") == {4: "cat", 5: "dog"}


def test_parts_may_be_folders(tmp_path: Path) -> None:
    write(tmp_path / "default" / "train" / "0000.parquet", [0])
    write(tmp_path / "default" / "test" / "0000.parquet", [1])
    assert (list(classes_of(find(tmp_path))), list(classes_of(find(tmp_path), "val"))) == ([0], [1])


def test_without_parts_every_twentieth_row_is_held_out_in_the_order_of_rows(tmp_path: Path) -> None:
    found = find(write(tmp_path / "train.parquet", range(40)))
    assert list(classes_of(found, "val")) == [19, 39]
    assert list(classes_of(found)) == [number for number in range(40) if number not in (19, 39)]


def test_a_column_called_split_says_what_is_held_out(tmp_path: Path) -> None:
    found = find(write(tmp_path / "x.parquet", [0, 1], split=(hub.Value("string"), ["train", "test"])))
    assert (list(classes_of(found)), list(classes_of(found, "val"))) == ([0], [1])


def test_classes_are_a_column_that_is_requested_the_usual_one_or_the_only_one(tmp_path: Path) -> None:
    fine, coarse = (hub.ClassLabel(names=["a", "b"]), [0, 1]), (hub.ClassLabel(names=["x", "y"]), [1, 0])
    both = write(tmp_path / "both.parquet", [0, 1], fine=fine, coarse=coarse, age=(hub.Value("int64"), [30, 4]))
    assert find(both).classes == ()
    assert find(both, "fine").classes == ("a", "b")
    assert find(both, "coarse").classes == ("x", "y")
    assert find(both, "age").classes == ("4", "30")
    assert find(write(tmp_path / "one.parquet", [0, 1], labels=fine)).classes == ("a", "b")
    assert find(write(tmp_path / "two.parquet", [0, 1], labels=fine, label=coarse)).classes == ("x", "y")
    assert find(write(tmp_path / "same.parquet", [0, 1], label=animals(1, 1))).classes == ()
    assert find(tmp_path / "one.parquet", "none").classes == ()
    with pytest.raises(PictureError, match=r"no column 'kind'.*fine, coarse, age"):
        find(both, "kind")
    with pytest.raises(PictureError, match=r"no folders.*fine, coarse, age"):
        find(both, "folder")


def test_pictures_are_read_a_group_of_rows_at_a_time_each_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = find(write(tmp_path / "x.parquet", range(10), group=4)).sources["train"]
    groups: list[int] = []
    read = pyarrow.parquet.ParquetFile.read_row_group

    def recorded(self: Any, group: int, *rest: Any, **options: Any) -> Any:
        groups.append(group)
        return read(self, group, *rest, **options)

    monkeypatch.setattr(pyarrow.parquet.ParquetFile, "read_row_group", recorded)
    assert load_pictures(sources, 8, threads=3).pixels[:, 0, 0, 0].tolist() == list(range(10))
    assert groups == [0, 1, 2]


def test_pictures_that_other_programs_wrote_as_bytes_are_found(tmp_path: Path) -> None:
    content = io.BytesIO()
    Image.new("RGB", (9, 9), (3, 0, 0)).save(content, format="PNG")
    rows = {"id": [7], "picture": [{"bytes": content.getvalue(), "path": "x.png"}]}
    pyarrow.parquet.write_table(pyarrow.table(rows), tmp_path / "x.parquet")
    assert list(classes_of(find(tmp_path / "x.parquet"))) == [3]


def test_rows_without_a_picture_are_skipped_and_paths_in_them_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    Image.new("RGB", (9, 9)).save(secret)
    content = secret.read_bytes()
    pictures = [{"bytes": content, "path": None}, {"bytes": None, "path": str(secret)}, None]
    pyarrow.parquet.write_table(pyarrow.table({"image": pictures}), tmp_path / "x.parquet")
    loaded = load_pictures(find(tmp_path / "x.parquet").sources["train"], 8)
    assert len(loaded) == 1
    assert [str(skipped.source) for skipped in loaded.skipped] == ["x.parquet row 1", "x.parquet row 2"]


def test_pictures_beside_parquet_files_are_the_data(tmp_path: Path) -> None:
    write(tmp_path / "x.parquet", [1, 2])
    Image.new("RGB", (9, 9)).save(tmp_path / "0.png")
    assert find(tmp_path).sources["train"] == [tmp_path / "0.png"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PAR1 no parquet", "cannot be read as parquet"),
        ({"text": ["a"]}, "no column of pictures.*text"),
        (None, "no pictures"),
    ],
)
def test_files_that_cannot_be_used_are_refused_in_a_line(tmp_path: Path, content: Any, words: str) -> None:
    path = tmp_path / "x.parquet"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        pyarrow.parquet.write_table(pyarrow.table(content), path)
    else:
        write(path, [])
    with pytest.raises(PictureError, match=words) as caught:
        find(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_files_with_other_columns_than_the_first_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [0], label=animals(0))
    write(tmp_path / "b.parquet", [1])
    with pytest.raises(PictureError, match=r"b\.parquet has other columns than .*a\.parquet"):
        find(tmp_path)


def test_without_the_library_a_sentence_says_how_to_get_it(
    call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "x.parquet", [0])
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert_refused(call(train.main, "--data", path, "--out", tmp_path / "run"), "pip install datasets")
    assert not (tmp_path / "run").exists()


def test_views_of_rows_are_those_of_the_same_pictures_in_a_folder(tmp_path: Path, picture_folder: Path) -> None:
    files = sorted(picture_folder.iterdir())[:6]
    rows = hub.Dataset.from_dict({"image": list(map(str, files))}, features=hub.Features({"image": hub.Image()}))
    embedded = rows.map(lambda row: row)  # nothing but a copy
    path = tmp_path / "x.parquet"
    embedded.cast_column("image", hub.Image(decode=False)).map(
        lambda row: {"image": {"bytes": Path(row["image"]["path"]).read_bytes(), "path": None}}
    ).cast_column("image", hub.Image()).to_parquet(path)
    one, other = (load_pictures(each, 16, views=3, zoom=0.3).pixels for each in (files, find(path).sources["train"]))
    assert torch.equal(one, other)


@pytest.mark.parametrize("column", ["caption", "text"])
def test_a_column_of_captions_stands_beside_classes(tmp_path: Path, column: str) -> None:
    words = (hub.Value("string"), ["a cat", None, "a  dog"])
    path = write(tmp_path / "x.parquet", [5, 6, 7], label=animals(1, 0, 0), **{column: words})
    found = find(path)
    assert found.captions == {"train": ["a cat", "", "a dog"], "val": []}
    assert found.classes == ("cat", "dog")
    assert found.notes == [f"1 of 3 pictures have no {column}."]
