"""`labels.csv` in the spellings that people and their programs have for it, and what is said where it does not fit."""

from __future__ import annotations

import unicodedata
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from ddpm_core.data.find import DataSet, find
from ddpm_core.images.files import PictureError

NAMES = [f"{kind} é{number}.png" for number in range(6) for kind in ("cat", "dog")]
HEAD = "file,split,class\n"


def rows(separator: str = ",", before: str = "", names: list[str] = NAMES) -> str:
    lines = [[before + n, "val" if number < 2 else "train", n[:3]] for number, n in enumerate(names)]
    return "".join(separator.join(line) + "\n" for line in lines)


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9)).save(folder / name)
    return folder


def classes_of(found: DataSet) -> dict[str, str]:
    """Class of each picture by its name, "(val)" behind those held out."""
    classes = (*found.classes, "")
    return {
        unicodedata.normalize("NFC", Path(str(source)).name): classes[label] + " (val)" * (part == "val")
        for part in ("train", "val")
        for source, label in zip(found.sources[part], found.labels[part], strict=True)
    }


WHOLE = {name: name[:3] + " (val)" * (number < 2) for number, name in enumerate(NAMES)}


@pytest.mark.parametrize(
    "text",
    {
        "as documented": HEAD + rows(),
        "semicolons": HEAD.replace(",", ";") + rows(";"),
        "tabs": HEAD.replace(",", "\t") + rows("\t"),
        "bars": HEAD.replace(",", "|") + rows("|"),
        "a separator that Excel is told": "sep=;\n" + HEAD.replace(",", ";") + rows(";"),
        "spaces after commas": HEAD.replace(",", ", ") + rows(", "),
        "spaces before them": HEAD.replace(",", " ,") + rows(" ,"),
        "./ in front": HEAD + rows(before="./"),
        ".\\ in front": HEAD + rows(before=".\\"),
        "file_name": HEAD.replace("file", "file_name") + rows(),
        "filename": HEAD.replace("file", "filename") + rows(),
        "image": HEAD.replace("file", "image") + rows(),
        "a name of its own": HEAD.replace("file", "id") + rows(),
        "capitals": HEAD.title() + rows(),
        "names in capitals": HEAD + rows().replace(".png", ".PNG"),
        "names without suffix": HEAD + rows().replace(".png", ""),
        "names before a conversion": HEAD + rows().replace(".png", ".jpeg"),
        "whole paths of another machine": HEAD + rows(before="C:\\Users\\me\\cats and dogs\\"),
        "letters in pieces": HEAD + unicodedata.normalize("NFD", rows()),
        "quotes and CRLF": HEAD.replace("\n", "\r\n") + rows('","').replace("\n", '"\r\n"').rstrip('"').join(['"', ""]),
        "empty lines": "\n" + HEAD + "\n" + rows().replace("\n", "\n\n"),
        "untidy quotes": HEAD + rows() + 'x.png,train,"cat" or so\n',
        "other words for val": HEAD + rows().replace(",val,", ",Validation ,"),
    }.items(),
    ids=lambda case: case[0],
)
def test_tables_say_the_same_however_they_are_written(tmp_path: Path, text: tuple[str, str]) -> None:
    fill(tmp_path, *NAMES)
    (tmp_path / "labels.csv").write_bytes(text[1].encode())
    assert classes_of(find(tmp_path)) == WHOLE


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"])
def test_tables_may_be_in_any_usual_encoding(tmp_path: Path, encoding: str) -> None:
    fill(tmp_path, *NAMES)
    (tmp_path / "labels.csv").write_bytes((HEAD + rows()).encode(encoding))
    assert classes_of(find(tmp_path)) == WHOLE


def test_letters_of_files_may_be_in_pieces_as_macos_has_them(tmp_path: Path) -> None:
    fill(tmp_path, *(unicodedata.normalize("NFD", name) for name in NAMES))
    (tmp_path / "LABELS.CSV").write_text(HEAD + rows(), encoding="utf-8")
    found = find(tmp_path)
    assert classes_of(found) == WHOLE
    assert found.notes == []


def test_class_folders_of_macos_have_the_names_that_a_keyboard_gives(tmp_path: Path) -> None:
    fill(tmp_path, unicodedata.normalize("NFD", "café/1.png"), "tea/2.png")
    assert find(tmp_path).classes == ("café", "tea")


@pytest.mark.parametrize("before", ["in\\", "in/", "", "../photos/in/", "/home/me/in/"])
def test_paths_in_tables_lead_to_files_in_folders(tmp_path: Path, before: str) -> None:
    fill(tmp_path / "in", *NAMES)
    (tmp_path / "labels.csv").write_text(HEAD + rows(before=before), encoding="utf-8")
    assert classes_of(find(tmp_path)) == WHOLE


def test_tables_in_archives_are_read_alike(tmp_path: Path) -> None:
    fill(tmp_path / "in", *NAMES)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        for name in NAMES:
            packed.write(tmp_path / "in" / name, f"around/p/{name}")
        packed.writestr("around/Labels.csv", (HEAD.replace(",", ";") + rows(";", "p\\")).encode("utf-16"))
    assert classes_of(find(tmp_path / "x.zip")) == WHOLE


def test_a_name_that_could_be_of_two_pictures_is_of_none(tmp_path: Path) -> None:
    fill(tmp_path, "a/1.png", "b/1.png", "c/2.png", "1.bmp", "1.gif")
    (tmp_path / "labels.csv").write_text("file,class\nx/1.png,cat\nx/2.png,dog\n")
    assert classes_of(find(tmp_path, "class"))["2.png"] == "dog"
    assert find(tmp_path, "class").classes == ("dog",)
    (tmp_path / "labels.csv").write_text("file,class\n1,cat\nc/2.png,dog\n")
    assert find(tmp_path, "class").classes == ("dog",)


def test_a_row_of_a_file_that_is_gone_takes_no_other_one_of_that_name(tmp_path: Path) -> None:
    fill(tmp_path, "1.png", "b/2.png")
    (tmp_path / "labels.csv").write_text("file,class\n1.png,cat\n1.jpg,dog\na/2.png,cow\n")
    found = find(tmp_path, "class")
    assert found.classes == ("cat",)
    assert "2 of 3 rows of labels.csv name no picture that is here (1.jpg, a/2.png)." in found.notes


# What does not fit


def test_a_table_that_names_no_picture_says_what_it_names_and_counts_as_none(tmp_path: Path) -> None:
    fill(tmp_path, "cat/1.png", "dog/2.png")
    (tmp_path / "labels.csv").write_text("File,Kind\nx.png,a\ny.png,b\n")
    found = find(tmp_path)
    assert found.classes == ("cat", "dog")
    assert found.notes == [
        "labels.csv names none of the 2 pictures: it names x.png, y.png (its columns are: File, Kind); it is not used."
    ]
    with pytest.raises(PictureError, match=r"no column 'Kind'.* names none of the 2 pictures: it names x\.png, y\.png"):
        find(tmp_path, "Kind")


def test_what_a_table_holds_out_is_never_trained_on_even_if_it_cannot_be_found(tmp_path: Path) -> None:
    fill(tmp_path, "cat/1.png", "dog/2.png")
    (tmp_path / "labels.csv").write_text("file,split\nx.png,train\ny.png,Val\n")
    with pytest.raises(
        PictureError, match=r"names none of the 2 pictures: it names x\.png, y\.png .*columns are: file, s"
    ):
        find(tmp_path)


def test_rows_and_pictures_without_each_other_are_counted(tmp_path: Path) -> None:
    fill(tmp_path, *NAMES)
    (tmp_path / "labels.csv").write_text(HEAD + rows(names=NAMES[:6]) + "gone.png,val,bird\n", encoding="utf-8")
    found = find(tmp_path)
    assert found.classes == ("cat", "dog")
    assert found.notes == [
        "1 of 7 rows of labels.csv name no picture that is here (gone.png), 1 of them held out.",
        "labels.csv names 6 of 12 pictures; of the other 6 it says nothing, and they are trained on.",
    ]


def test_a_picture_that_is_held_out_once_is_held_out(tmp_path: Path) -> None:
    fill(tmp_path, "1.png", "2.png")
    (tmp_path / "labels.csv").write_text("file,split\n1.png,val\n1.png,train\n2.png,train\n")
    found = find(tmp_path)
    assert classes_of(found) == {"1.png": " (val)", "2.png": ""}
    assert "differ (1.png)" in found.notes[0]


def test_a_split_of_unknown_name_is_reported(tmp_path: Path) -> None:
    fill(tmp_path, "1.png", "2.png", "3.png")
    (tmp_path / "labels.csv").write_text("file,split\n1.png,val\n2.png,extra\n3.png,train\n")
    assert find(tmp_path).notes == ["labels.csv has a split extra of 1 pictures, which is taken for “train”."]


@pytest.mark.parametrize("end", ["x" * 200_000, "", '"dog.png",val,"dog"\n'], ids=["long", "to the end", "to the next"])
def test_a_quote_that_is_never_closed_is_a_sentence(tmp_path: Path, end: str) -> None:
    fill(tmp_path, *NAMES)
    (tmp_path / "labels.csv").write_text(HEAD + 'a.png,val,cat\n"' + rows() + end, encoding="utf-8")
    with pytest.raises(PictureError, match=r"labels\.csv opens a quote in line 3 that is not closed"):
        find(tmp_path)


def test_a_quote_may_go_over_lines(tmp_path: Path) -> None:
    fill(tmp_path, "1.png", "2.png")
    (tmp_path / "labels.csv").write_text('file,caption,class\n1.png,"a\nb, ""c""",x\n2.png,,y\n')
    assert find(tmp_path).classes == ("x", "y")


def test_a_table_without_a_header_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, "1.png", "2.png")
    (tmp_path / "labels.csv").write_text("1.png,val,cat\n2.png,train,dog\n")
    with pytest.raises(PictureError, match="has to name the columns"):
        find(tmp_path)


# In the folder above


def test_a_foreign_table_above_changes_nothing_and_is_mentioned(tmp_path: Path) -> None:
    fill(tmp_path / "pets", *(f"{kind}/{number}.png" for kind in ("cat", "dog") for number in range(10)))
    fill(tmp_path, "other.png")
    (tmp_path / "labels.csv").write_text("file,split,label\nother.png,val,cow\n0.png,val,cow\n")
    found = find(tmp_path / "pets")
    assert found.classes == ("cat", "dog")
    assert len(found.sources["val"]) == 1
    assert found.notes == [
        "labels.csv in the folder above names none of the 20 pictures: it names other.png, 0.png "
        "(its columns are: file, split, label); it is not used."
    ]


def test_a_table_above_that_is_about_these_and_others_is_used_and_not_counted(tmp_path: Path) -> None:
    fill(tmp_path / "pets", "a.png", "b.png")
    (tmp_path / "labels.csv").write_text(
        "File;Split;Class\npets\\A.png;val;x\npets\\b.png;train;y\ncars\\c.png;val;z\n"
    )
    found = find(tmp_path / "pets")
    assert classes_of(found) == {"a.png": " (val)", "b.png": "y"}
    assert found.notes == []


def test_a_table_above_that_cannot_be_read_matters_if_it_mentions_the_folder(tmp_path: Path) -> None:
    fill(tmp_path / "pets", "a.png", "b.png")
    (tmp_path / "labels.csv").write_text('file,split\n"cars/a.png,val\n')
    assert find(tmp_path / "pets").notes == [
        "labels.csv in the folder above cannot be read as a table, and is not used."
    ]
    (tmp_path / "labels.csv").write_text('file,split\n"pets/a.png,val\n')
    with pytest.raises(PictureError, match="opens a quote in line 2"):
        find(tmp_path / "pets")


def test_a_table_that_names_nothing_leaves_it_to_the_one_above(tmp_path: Path) -> None:
    fill(tmp_path / "pets", "a.png", "b.png")
    (tmp_path / "pets" / "labels.csv").write_text("name,age\nAda,36\n")
    (tmp_path / "labels.csv").write_text("file,split\npets/a.png,val\npets/b.png,train\n")
    found = find(tmp_path / "pets")
    assert [Path(str(source)).name for source in found.sources["val"]] == ["a.png"]
    assert "none of its columns names files (its columns are: name, age)" in found.notes[0]
