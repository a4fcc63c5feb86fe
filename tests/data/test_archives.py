"""Archives whose files are packed in ways that Python does not know."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from ddpm_core.data.find import find
from ddpm_core.images.files import PictureError


def packed_with(method: int, path: Path, *names: str, only: str = "") -> Path:
    """A `.zip` whose files say that they are packed with a method; or those whose name ends so."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            picture = io.BytesIO()
            Image.new("RGB", (9, 9)).save(picture, "PNG")
            archive.writestr(name, picture.getvalue())
    raw = bytearray(stream.getvalue())
    for sign, at, header in ((b"PK\x03\x04", 8, 30), (b"PK\x01\x02", 10, 46)):
        where = raw.find(sign)
        while where >= 0:
            length = struct.unpack_from("<H", raw, where + (26 if header == 30 else 28))[0]
            if raw[where + header : where + header + length].endswith(only.encode()):
                struct.pack_into("<H", raw, where + at, method)
            where = raw.find(sign, where + 1)
    path.write_bytes(raw)
    return path


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
