"""Training pictures in archives: found and read as the folder that is in one."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_core.data import archives
from ddpm_core.data.find import find
from ddpm_core.data.load import load_pictures
from ddpm_core.images.files import PictureError, open_picture
from tests.data.test_find import classes_of, fill, packed

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
