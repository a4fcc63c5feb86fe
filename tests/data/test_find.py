"""What there is to train on: classes and held-out pictures of folders, archives and arrays."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm_core.data.find import DataSet, find
from ddpm_core.data.load import load_pictures
from ddpm_core.images.files import PictureError, open_picture


def fill(folder: Path, *names: str) -> Path:
    """Pictures of those names, the number of each in its red channel."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9), (number, 0, 0)).save(folder / name)
    return folder


def packed(folder: Path, path: Path, prefix: str = "") -> Path:
    """An archive of the folder, of the kind its name says."""
    files = [(file, prefix + file.relative_to(folder).as_posix()) for file in sorted(folder.rglob("*"))]
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
            for file, name in files:
                zipped.write(file, name)
    else:
        kind = {".tar": "w", ".gz": "w:gz", ".tgz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}[path.suffix.lower()]
        with tarfile.open(path, kind) as tarred:  # type: ignore[call-overload]
            for file, name in files:
                tarred.add(file, name, recursive=False)
    return path


def classes_of(found: DataSet, part: str = "train") -> dict[int, str]:
    """The class of each picture, by what is in its red channel."""
    numbers = [open_picture(source).getpixel((0, 0))[0] for source in found.sources[part]]  # type: ignore[index]
    names = (*found.classes, "")
    return {number: names[label] for number, label in zip(numbers, found.labels[part], strict=True)}


# Folders


def test_folders_are_classes(tmp_path: Path) -> None:
    found = find(fill(tmp_path, "cat/0.png", "cat/1.png", "dog/2.png"))
    assert found.classes == ("cat", "dog")
    assert classes_of(found) == {0: "cat", 1: "cat", 2: "dog"}


def test_classes_below_train_and_what_is_beside_it_held_out(tmp_path: Path) -> None:
    names = ["train/cat/0.png", "train/dog/1.png", "val/dog/2.png", "test/cat/3.png", "test/cow/4.png"]
    found = find(fill(tmp_path, *names))
    assert found.classes == ("cat", "dog")
    assert classes_of(found) == {0: "cat", 1: "dog"}
    assert classes_of(found, "val") == {2: "dog", 3: "cat", 4: ""}  # a class that is not trained on is none


def test_class_names_that_are_numbers_are_ordered_by_value(tmp_path: Path) -> None:
    assert find(fill(tmp_path, "10/0.png", "9/1.png", "b/2.png", "a/3.png")).classes == ("9", "10", "a", "b")


@pytest.mark.parametrize(
    "names", [["0.png", "1.png"], ["one/0.png", "one/1.png"], ["a/0.png", "1.png"], ["a/b/0.png", "c/d/1.png"]]
)
def test_pictures_that_do_not_lie_in_folders_one_deep_have_no_classes(tmp_path: Path, names: list[str]) -> None:
    found = find(fill(tmp_path, *names))
    assert found.classes == ()
    assert found.labels["train"] == [0, 0]


def test_folders_can_be_left_out_of_account_or_requested(tmp_path: Path) -> None:
    fill(tmp_path, "a/0.png", "b/1.png", "2.png")
    assert find(tmp_path).classes == find(tmp_path, "none").classes == ()
    assert classes_of(find(tmp_path, "folder")) == {0: "a", 1: "b", 2: ""}


# labels.csv


def test_a_column_of_the_labels_is_the_class(tmp_path: Path) -> None:
    fill(tmp_path, "in/0.png", "in/1.png", "in/2.png", "in/3.png")
    rows = "in/0.png,train,sky,x\nin/1.png,val,sea,y\nin/2.png,train,sea,x\n"
    (tmp_path / "labels.csv").write_text("file,split,kind,label\n" + rows)
    found = find(tmp_path, "kind")
    assert found.classes == ("sea", "sky")
    assert classes_of(found) == {0: "sky", 2: "sea", 3: ""}  # the last is not in the table
    assert classes_of(found, "val") == {1: "sea"}
    assert find(tmp_path / "in", "kind").classes == ("sea", "sky")  # the table may lie above


def test_a_column_called_class_or_label_is_found_by_itself_and_others_are_not(tmp_path: Path) -> None:
    fill(tmp_path, "a/0.png", "b/1.png")
    for column, classes in {"class": ("x", "y"), "label": ("x", "y"), "source": ()}.items():
        (tmp_path / "labels.csv").write_text(f"file,split,{column}\na/0.png,train,x\nb/1.png,train,y\n")
        assert find(tmp_path).classes == classes


def test_a_column_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    fill(tmp_path, "0.png")
    with pytest.raises(PictureError, match=r"no column 'kind'.* there is no labels\.csv"):
        find(tmp_path, "kind")
    (tmp_path / "labels.csv").write_text("file,split,group\n0.png,train,x\n")
    with pytest.raises(PictureError, match=r"no column 'kind'.*file, split, group"):
        find(tmp_path, "kind")


def test_labels_that_do_not_say_what_is_held_out_leave_it_to_the_folders_or_chance(tmp_path: Path) -> None:
    fill(tmp_path / "a", *(f"{number:02d}.png" for number in range(20)))
    (tmp_path / "a" / "labels.csv").write_text("file,class\n00.png,x\n01.png,y\n")
    assert [path.name for path in find(tmp_path / "a").sources["val"]] == ["19.png"]  # type: ignore[union-attr]


@pytest.mark.parametrize("word", ["val", "test", "Validation "])
def test_what_the_labels_call_validation_or_test_is_held_out(tmp_path: Path, word: str) -> None:
    fill(tmp_path, "0.png", "1.png")
    (tmp_path / "labels.csv").write_text(f"file,split\n0.png,train\n1.png,{word}\n")
    assert [path.name for path in find(tmp_path).sources["val"]] == ["1.png"]  # type: ignore[union-attr]


# What does not count


@pytest.mark.parametrize("kind", ["folder", "x.zip", "x.tar"])
def test_hidden_files_and_what_macos_writes_beside_each_are_ignored(tmp_path: Path, kind: str) -> None:
    hidden = [".0.png", "._1.png", "cat/._2.png", ".cache/3.png", "dog/.trash/4.png", "__MACOSX/cat/5.png"]
    folder = fill(tmp_path / ".in", *hidden, "cat/6.png", "dog/7.png")  # a folder around it may well be hidden
    found = find(folder if kind == "folder" else packed(folder, tmp_path / kind))
    assert classes_of(found) == {6: "cat", 7: "dog"}


def test_links_that_go_round_in_circles_or_nowhere_do_no_harm(tmp_path: Path) -> None:
    fill(tmp_path / "in", "0.png")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in", target_is_directory=True)
    (tmp_path / "in" / "1.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "in" / "2.png").symlink_to(tmp_path / "in" / "2.png")
    (tmp_path / "in" / "3.png").symlink_to(tmp_path / "in" / "0.png")
    assert [path.name for path in find(tmp_path / "in").sources["train"]] == ["0.png", "3.png"]  # type: ignore[union-attr]
    (tmp_path / "linked").symlink_to(tmp_path / "in", target_is_directory=True)
    assert len(find(tmp_path / "linked").sources["train"]) == 2


@pytest.mark.parametrize(
    "name", ["0.PNG", "0.Jpg", "0.JPEG", "0.jfif", "0.apng", "0.WebP", "0.TIFF", "0.gif", "0.avif"]
)
def test_pictures_are_known_by_their_suffix_however_it_is_written(tmp_path: Path, name: str) -> None:
    known = Path(name).suffix.lower() in Image.registered_extensions()  # AVIF: not in every Pillow
    (tmp_path / name).write_bytes(b"")
    if known:
        assert find(tmp_path).sources["train"] == [tmp_path / name]
    else:
        with pytest.raises(PictureError, match="no pictures"):
            find(tmp_path)


def test_what_is_no_data_is_refused_by_what_it_is(tmp_path: Path) -> None:
    fill(tmp_path, "0.png")
    (tmp_path / "notes.txt").write_text("no picture")
    for name, words in {
        "none": "does not exist",
        "0.png": "is a single picture",
        "notes.txt": "is not a folder",
    }.items():
        with pytest.raises(
            PictureError, match=rf"{name} {words}; .*folder of pictures.*\.zip or \.tar.*\.parquet"
        ) as told:
            find(tmp_path / name)
        assert "--data" not in str(told.value)  # the studio names its folder by another flag


# In memory


def test_labels_stay_with_their_pictures_through_views_and_unreadable_files(tmp_path: Path) -> None:
    fill(tmp_path, "0.png", "1.png", "2.png")
    (tmp_path / "1.png").write_bytes(b"no picture")
    loaded = load_pictures(sorted(tmp_path.iterdir()), 8, views=2, labels=[4, 5, 6])
    assert loaded.labels is not None
    assert loaded.labels.tolist() == [4, 4, 6, 6]
    assert loaded.pixels[:, 0, 0, 0].tolist() == [0, 0, 2, 2]


@pytest.mark.parametrize(("fraction", "held_out"), [(0, []), (0.05, [19]), (0.1, [9, 19]), (0.25, [3, 7, 11, 15, 19])])
def test_as_many_are_held_out_as_one_asks_for_evenly_spread(
    tmp_path: Path, fraction: float, held_out: list[int]
) -> None:
    found = find(fill(tmp_path, *(f"{number:02d}.png" for number in range(20))), fraction=fraction)
    assert sorted(classes_of(found, "val")) == held_out
    assert len(found.sources["train"]) == 20 - len(held_out)


def test_arrays_without_a_test_part_hold_out_the_fraction_one_asks_for(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x_train=np.zeros((8, 4, 4), np.uint8), y_train=np.arange(8))
    assert len(find(tmp_path / "x.npz", fraction=0.25).sources["val"]) == 2


def test_what_the_data_itself_holds_out_is_not_asked_for(tmp_path: Path) -> None:
    found = find(fill(tmp_path, "train/0.png", "train/1.png", "val/2.png"), fraction=0.5)
    assert [len(found.sources[part]) for part in ("train", "val")] == [2, 1]
