"""Captions and other words on pictures, from `labels.csv` and `metadata.jsonl`, in folders and archives alike."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from ddpm_core.data.find import DataSet, find
from ddpm_core.data.load import load_pictures
from ddpm_core.images.files import PictureError


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9)).save(folder / name)
    return folder


def described(folder: Path, **words: str) -> None:
    """A `metadata.jsonl` of pictures by name and text."""
    lines = [json.dumps({"file_name": f"{name}.png", "text": text}) for name, text in words.items()]
    (folder / "metadata.jsonl").write_text("\n".join(lines))


def zipped(folder: Path, prefix: str = "") -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, prefix + file.relative_to(folder).as_posix())
    return path


def both(folder: Path) -> list[DataSet]:
    """What is found in a folder, in a `.zip` of it, and in one with a folder around everything."""
    return [find(folder), find(zipped(folder)), find(zipped(folder, "around/"))]


def test_a_caption_column_stands_beside_classes_and_splits(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", "a/0.png", "a/1.png", "b/2.png")
    rows = 'a/0.png,train,x,"a cat,  big"\na/1.png,val,y,a dog\nb/2.png,train,y,a cow\n'
    (folder / "labels.csv").write_text("file,split,style,Caption\n" + rows)
    for found in both(folder):
        assert found.captions == {"train": ["a cat, big", "a cow"], "val": ["a dog"]}
        assert found.classes == ()
        assert found.notes == []
        assert [row["style"] for row in found.rows["train"]] == ["x", "y"]
        assert "style" in found.columns
    by_style = find(folder, "style")
    assert by_style.classes == ("x", "y")
    assert by_style.captions == find(folder).captions


def test_metadata_is_read_as_an_imagefolder_has_it_one_for_each_part(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", "train/0.png", "train/deep/1.png", "val/0.png")
    described(folder / "train", **{"0": "a cat", "deep/1": "a cow"})
    described(folder / "val", **{"0": "a dog"})
    for found in both(folder):
        assert found.captions == {"train": ["a cat", "a cow"], "val": ["a dog"]}
        assert found.notes == []
        assert found.unused == ""
    described(folder / "train" / "deep", **{"1": "its own"})
    assert (find(folder).captions or {})["train"] == ["a cat", "its own"]


def test_metadata_adds_what_the_labels_leave_out(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", "0.png", "1.png")
    (folder / "labels.csv").write_text("file,class,text\n0.png,x,mine\n1.png,y,\n")
    described(folder, **{"0": "theirs", "1": "theirs"})
    for found in both(folder):
        assert found.classes == ("x", "y")
        assert found.captions == {"train": ["mine", "theirs"], "val": []}


def test_metadata_in_the_folder_above_names_pictures_with_their_folder(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", "0.png", "1.png")
    described(tmp_path, **{"in/0": "a cat", "other/0": "a dog"})
    found = find(folder)
    assert found.captions == {"train": ["a cat", ""], "val": []}
    assert "1 of 2 pictures have no text." in found.notes
    (tmp_path / "metadata.jsonl").write_text("nothing of ours")
    assert find(folder).notes == ["metadata.jsonl in the folder above cannot be read as a table, and is not used."]


@pytest.mark.parametrize("table", ["labels.csv", "metadata.jsonl"])
def test_a_table_of_other_files_is_not_used_and_a_line_says_so(tmp_path: Path, table: str) -> None:
    folder = fill(tmp_path / "in", "0.png", "1.png")
    described(folder, away="a cat")
    if table == "labels.csv":
        (folder / "metadata.jsonl").unlink()
        (folder / table).write_text("file,caption\naway.png,a cat\n")
    for found in both(folder):
        assert found.captions is None
        assert [f"{table} names none of the 2 pictures" in note for note in found.notes] == [True]
        assert "it is not used" in found.notes[0]


def test_what_would_be_held_out_and_is_not_there_is_never_passed_over(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", "0.png")
    (folder / "metadata.jsonl").write_text('{"file_name": "away.png", "split": "val"}')
    with pytest.raises(PictureError, match=r"metadata\.jsonl names none of the 1 pictures"):
        find(folder)


def test_captions_stay_with_their_pictures_through_views_and_unreadable_files(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", "0.png", "1.png", "2.png")
    (folder / "1.png").write_bytes(b"no picture")
    described(folder, **{"0": "a cat", "1": "lost", "2": "a cow"})
    found = find(folder)
    assert found.captions is not None
    pictures = load_pictures(found.sources["train"], 8, views=2, captions=found.captions["train"])
    assert pictures.captions == ["a cat", "a cat", "a cow", "a cow"]
