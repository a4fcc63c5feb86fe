"""Files that people take for pictures: opened where a reader is installed, else named, with what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image

from ddpm_core.data.listing import PICTURES
from ddpm_core.images import kinds
from ddpm_core.images.files import PictureError, open_picture
from tests.icc_profiles import profile


@pytest.fixture
def heic(tmp_path: Path) -> Path:
    path = tmp_path / "photo.heic"
    kinds.register()
    Image.new("RGB", (64, 48), (200, 90, 40)).save(path, format="HEIF", quality=90)
    return path


def forget(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """Have Pillow be as it is without a reader of that form."""
    for suffix in [suffix for suffix, name in Image.EXTENSION.items() if name == form]:
        monkeypatch.delitem(Image.EXTENSION, suffix)
    monkeypatch.delitem(Image.OPEN, form)
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != form])


def test_a_heic_photo_is_opened_where_its_reader_is_installed(heic: Path) -> None:
    opened = open_picture(heic)
    assert (opened.mode, opened.size) == ("RGB", (64, 48))
    assert max(abs(a - b) for a, b in zip(opened.getpixel((30, 20)), (200, 90, 40), strict=True)) < 12
    assert {".heic", ".heif"} <= PICTURES


def test_a_heic_photo_has_its_profile(heic: Path) -> None:
    Image.new("RGB", (64, 48), (200, 90, 40)).save(heic, format="HEIF", icc_profile=profile())
    assert open_picture(heic).info == {"icc_profile": profile()}


def test_a_heic_photo_is_named_where_its_reader_is_not_installed(heic: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch, "HEIF")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    kinds.register()
    with pytest.raises(
        PictureError, match=r"photo\.heic is not .* but a HEIC photo; save it as .* pip install"
    ) as caught:
        open_picture(heic)
    assert str(caught.value).endswith("pillow-heif.")
    monkeypatch.setitem(sys.modules, "pillow_heif", pillow_heif)
    kinds.register()
    assert open_picture(heic).size == (64, 48)


def test_a_damaged_heic_photo_is_not_asked_to_install_what_is_there(heic: Path) -> None:
    heic.write_bytes(heic.read_bytes()[:300])
    with pytest.raises(PictureError, match="not a picture that can be read; try"):
        open_picture(heic)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "a film"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1miafheic" + bytes(9), "a HEIC photo"),
        (b"\0\0\0\x18ftypcrx \0\0\0\0crx isom", "a raw photo"),
        (b"%PDF-1.7", "a PDF document"),
        (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"\xff\x0a" + bytes(40), "a JPEG XL picture"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture"),
        (b"gimp xcf v011\0", "a GIMP project"),
        (b"PK\x03\x04" + bytes(100), "a zip archive"),
    ],
)
def test_what_cannot_be_read_is_named_with_what_to_do(
    tmp_path: Path, content: bytes, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget(monkeypatch, "HEIF")
    (tmp_path / "x.jpg").write_bytes(content)
    with pytest.raises(
        PictureError, match=rf"^x\.jpg is not a picture that can be read, but {name}.*; .*\.$"
    ) as caught:
        open_picture(tmp_path / "x.jpg")
    assert "\n" not in str(caught.value)
