"""What there is to train on: classes and held-out pictures of folders, archives and arrays."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_core.data import archives
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


# Archives

ARCHIVES = ["x.zip", "x.tar", "x.tar.gz", "X.TGZ", "x.tar.bz2", "x.tar.xz"]


@pytest.mark.parametrize("prefix", ["", "photos/", "./"])
@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_is_read_as_the_folder_in_it(tmp_path: Path, name: str, prefix: str) -> None:
    folder = fill(tmp_path / "in", "train/cat/0.png", "train/dog/1.png", "val/dog/2.png")
    archive = packed(folder, tmp_path / name, prefix)
    before = sorted(tmp_path.rglob("*"))
    plain, inside = find(folder), find(archive)
    assert inside.classes == plain.classes == ("cat", "dog")
    for part in ("train", "val"):
        assert classes_of(inside, part) == classes_of(plain, part)
        one, other = (load_pictures(found.sources[part], 8).pixels for found in (plain, inside))
        assert torch.equal(one, other)
    assert sorted(tmp_path.rglob("*")) == before  # nothing is unpacked


@pytest.mark.parametrize("name", ["x.zip", "x.tar.gz"])
def test_an_archive_may_have_its_labels_inside(tmp_path: Path, name: str) -> None:
    folder = fill(tmp_path / "in", "p/0.png", "p/1.png", "p/2.png")
    (folder / "labels.csv").write_text("file,split,class\np/0.png,train,a\np/1.png,val,b\np/2.png,train,b\n")
    found = find(packed(folder, tmp_path / name, "around/"))
    assert classes_of(found) == {0: "a", 2: "b"}
    assert classes_of(found, "val") == {1: "b"}


@pytest.mark.parametrize("name", ["x.zip", "x.tar.gz"])
def test_a_damaged_picture_in_an_archive_is_left_out(tmp_path: Path, name: str) -> None:
    folder = fill(tmp_path / "in", "0.png", "1.png")
    (folder / "1.png").write_bytes(b"no picture")
    loaded = load_pictures(find(packed(folder, tmp_path / name)).sources["train"], 8)
    assert len(loaded) == len(loaded.skipped) == 1


def test_a_member_whose_bytes_are_damaged_is_left_out(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", "0.png", "1.png")
    archive = packed(folder, tmp_path / "x.zip")
    spoilt = bytearray(archive.read_bytes())
    spoilt[60:70] = bytes(10)  # in the first member
    archive.write_bytes(spoilt)
    loaded = load_pictures(find(archive).sources["train"], 8)
    assert loaded.pixels[:, 0, 0, 0].tolist() == [1]
    assert "0.png is damaged" in loaded.skipped[0].reason


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_that_is_none_or_holds_none_is_refused(tmp_path: Path, name: str) -> None:
    path, kind = tmp_path / name, "zip" if name.endswith("zip") else "tar"
    path.write_bytes(b"PK no archive" * 100)
    with pytest.raises(PictureError, match=f"cannot be read as a {kind} archive") as caught:
        find(path)
    assert "\n" not in str(caught.value)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    with pytest.raises(PictureError, match="no pictures in"):
        find(packed(tmp_path / "in", path))


def test_a_compressed_archive_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels).save(tmp_path / "in" / "0.png")
    archive = packed(tmp_path / "in", tmp_path / "x.tar.gz")
    archive.write_bytes(archive.read_bytes()[:5000])
    with pytest.raises(PictureError, match="cannot be read as a tar archive"):
        find(archive)


def test_an_encrypted_zip_is_refused_before_any_picture_is_tried(tmp_path: Path) -> None:
    archive = packed(fill(tmp_path / "in", "0.png"), tmp_path / "x.zip")
    spoilt = bytearray(archive.read_bytes())
    spoilt[spoilt.index(b"PK\x01\x02") + 8] |= 1  # what a password sets
    archive.write_bytes(spoilt)
    with pytest.raises(PictureError, match="encrypted"):
        find(archive)


def test_a_compressed_tar_is_gone_through_forwards_whatever_its_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["9.png", "0.png", "5.png", "3.png", "7.png", "1.png"]
    fill(tmp_path, *names)
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as archive:
        for name in names:
            archive.add(tmp_path / name, name)
    sources = find(tmp_path / "x.tar.gz").sources["train"]
    places: list[int] = []
    extract = tarfile.TarFile.extractfile

    def recorded(self: tarfile.TarFile, member: tarfile.TarInfo) -> Any:
        places.append(member.offset_data)
        return extract(self, member)

    monkeypatch.setattr(tarfile.TarFile, "extractfile", recorded)
    loaded = load_pictures(sources, 8, threads=3)
    assert len(places) == len(names)
    assert places == sorted(places)
    assert loaded.pixels[:, 0, 0, 0].tolist() == [1, 5, 3, 2, 4, 0]  # by name: 0, 1, 3, 5, 7, 9


def test_names_in_an_archive_are_not_paths(tmp_path: Path) -> None:
    secret = fill(tmp_path, "0.png") / "0.png"
    inside = io.BytesIO()
    Image.new("RGB", (9, 9), (7, 0, 0)).save(inside, format="PNG")
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name in ("../0.png", str(secret), "link.png", "1.png"):
            info = tarfile.TarInfo(name)
            if name == "link.png":
                info.type, info.linkname = tarfile.SYMTYPE, str(secret)
                archive.addfile(info)
            else:
                info.size = len(inside.getvalue())
                archive.addfile(info, io.BytesIO(inside.getvalue()))
    found = find(tmp_path / "x.tar").sources["train"]
    assert [open_picture(source).getpixel((0, 0)) for source in found] == [(7, 0, 0)] * len(found)
    assert {str(source) for source in found} == {"1.png", str(secret).lstrip("/")}


def test_a_member_that_says_it_is_gigantic_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST", 200)
    fill(tmp_path / "in", "0.png")
    (tmp_path / "in" / "1.png").write_bytes(bytes(10**6))
    loaded = load_pictures(find(packed(tmp_path / "in", tmp_path / "x.zip")).sources["train"], 8)
    assert len(loaded) == 1
    assert "1.png is too large" in loaded.skipped[0].reason


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
