"""What a file holds beside pixels never decides whether they are read."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ddpm_core.images import metadata
from ddpm_core.images.files import PARAMETERS, PictureError, open_picture, read_parameters, save_png
from tests.icc_profiles import profile

TURN = (0x0112, 3, 1, struct.pack("<H", 6))
LONG = "a node and another, " * 100_000  # more than Pillow unpacks


def picture(width: int = 60, height: int = 40) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x * 4, y * 6, x * 0 + 90], axis=2).astype(np.uint8))


def block(*entries: tuple[int, int, int, bytes], order: str = "<") -> bytes:
    """EXIF with these entries (tag, type, count, value) in its first directory, each of four bytes at most."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(entries))
    ifd = b"".join(struct.pack(order + "HHI", tag, kind, count) + v.ljust(4, b"\0") for tag, kind, count, v in entries)
    return b"Exif\0\0" + head + ifd + struct.pack(order + "I", 0)


def text(zip: bool, itxt: bool) -> PngInfo:
    info = PngInfo()
    (info.add_itxt if itxt else info.add_text)("workflow", LONG, zip=zip)
    return info


@pytest.mark.parametrize("itxt", [False, True])
@pytest.mark.parametrize("zip", [False, True])
def test_a_png_with_a_long_text_is_opened(tmp_path: Path, zip: bool, itxt: bool) -> None:
    picture().save(tmp_path / "x.png", pnginfo=text(zip, itxt))
    assert np.array_equal(np.asarray(open_picture(tmp_path / "x.png")), np.asarray(picture()))
    assert read_parameters(tmp_path / "x.png") == {}


def test_a_png_with_a_large_profile_is_opened_in_its_colours(tmp_path: Path) -> None:
    large = profile() + bytes(2_000_000)
    picture().save(tmp_path / "x.png", icc_profile=large)
    opened = open_picture(tmp_path / "x.png")
    assert opened.info["icc_profile"] == large


def test_a_profile_that_unpacks_to_more_than_any_has_is_left_out(tmp_path: Path) -> None:
    picture().save(tmp_path / "x.png", icc_profile=profile() + bytes(20_000_000))
    opened = open_picture(tmp_path / "x.png")
    assert opened.info == {}
    assert np.array_equal(np.asarray(opened), np.asarray(picture()))


@pytest.mark.parametrize("name", [b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"pHYs", b"gAMA", b"eXIf", b"acTL", b"tIME"])
def test_a_png_with_a_damaged_chunk_beside_its_pixels_is_opened(tmp_path: Path, name: bytes) -> None:
    stream = io.BytesIO()
    picture().save(stream, format="PNG")
    whole = stream.getvalue()
    for content in (b"", b"x", b"key\0\1\2\3", bytes(40)):
        damaged = struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(content) ^ 1)
        (tmp_path / "x.png").write_bytes(whole[:33] + damaged + whole[33:])
        assert np.array_equal(np.asarray(open_picture(tmp_path / "x.png")), np.asarray(picture()))


def test_a_transparent_png_stays_so_without_its_metadata(tmp_path: Path) -> None:
    few = picture().quantize(8)
    few.save(tmp_path / "x.png", pnginfo=text(True, False), transparency=few.getpixel((0, 0)))
    assert open_picture(tmp_path / "x.png").getpixel((0, 0))[3] == 0


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize(
    ("beside", "turned"),
    [
        (block(TURN), True),
        (block(TURN, order="<")[6:], True),
        (block((0x0112, 3, 1, struct.pack(">H", 6)), order=">"), True),
        (b"Exif\0\0" + block(TURN), True),
        (block(TURN, (0x9201, 10, 1, struct.pack("<I", 0xFFFFFFF0))), True),
        (block(TURN, (0x8825, 4, 9, struct.pack("<I", 9))), True),
        (block(TURN, (0x0132, 99, 3, b"abc")), True),
        (block(TURN, (0x8769, 4, 1, struct.pack("<I", 8))), True),
        (block((0x0112, 3, 1, struct.pack("<H", 9))), False),
        (block((0x0112, 2, 2, b"6\0")), False),
        (block(TURN)[:20], False),
        (b"Exif\0\0", False),
        (b"Exif\0\0II*\0\xff\xff\xff\xff", False),
    ],
    ids=["plain", "bare", "big-endian", "twice", "rational beyond", "gps", "no such type", "loop", "nine", "as text",
         "cut off", "empty", "beyond"],
)  # fmt: skip
def test_exif_turns_a_picture_or_is_ignored(tmp_path: Path, suffix: str, beside: bytes, turned: bool) -> None:
    if suffix == "jpg" and not beside.startswith(b"Exif"):
        return  # in a JPEG that is no EXIF
    if suffix == "tif":
        if beside != block(TURN):
            return  # a TIFF's own directory is what its EXIF would be
        exif = Image.Exif()
        exif[0x0112] = 6
        picture().save(tmp_path / "x.tif", exif=exif)
    else:
        picture().save(tmp_path / f"x.{suffix}", exif=beside)
    assert open_picture(tmp_path / f"x.{suffix}").size == ((40, 60) if turned else (60, 40))


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's own remarks
@pytest.mark.parametrize("suffix", ["jpg", "webp", "png"])
def test_exif_damaged_anywhere_does_not_keep_a_photo_from_being_opened(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A] = 6, "Maker", 72.0
    exif.get_ifd(0x8769).update({0x829A: 0.01, 0x9204: -0.5, 0x927C: b"note" * 9, 0x9003: "2024:01:01 00:00:00"})
    exif.get_ifd(0x8825).update({1: "N", 2: (1.0, 2.0, 3.0)})
    whole, draw = exif.tobytes(), np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(whole)
        damaged[int(draw.integers(6, len(whole)))] = int(draw.integers(256))
        picture(6, 4).save(tmp_path / f"x.{suffix}", exif=bytes(damaged))
        assert sorted(open_picture(tmp_path / f"x.{suffix}").size) == [4, 6]


def test_a_jpeg_is_opened_without_segments_that_cannot_be_read(tmp_path: Path) -> None:
    stream = io.BytesIO()
    picture().save(stream, format="JPEG", quality=98, icc_profile=profile(), exif=block(TURN))
    content = stream.getvalue()
    for segment in (b"\xff\xe2\0\x0aMPF\0II*\0", b"\xff\xed\0\x12Photoshop 3.0\0ab", b"\xff\xe1\0\4<x"):
        (tmp_path / "x.jpg").write_bytes(content[:2] + segment + content[2:])
        opened = open_picture(tmp_path / "x.jpg")
        assert opened.size == (40, 60)
        assert opened.info["icc_profile"] == profile()
    bare = metadata.bare(content[:2] + b"\xff\xfe\0\6note" + content[2:])
    assert b"note" not in bare.content
    assert metadata.orientation(bare.exif) == 6
    assert Image.open(io.BytesIO(bare.content)).info["icc_profile"] == profile()


def test_a_webp_is_stripped_to_its_pixels() -> None:
    stream = io.BytesIO()
    picture().save(stream, format="WEBP", lossless=True, exif=block(TURN), icc_profile=profile(), xmp=b"<x/>")
    bare = metadata.bare(stream.getvalue())
    assert metadata.orientation(bare.exif) == 6
    assert bare.profile == profile()
    with Image.open(io.BytesIO(bare.content)) as opened:
        assert np.array_equal(np.asarray(opened.convert("RGB")), np.asarray(picture()))
        assert not {"exif", "icc_profile", "xmp"} & set(opened.info)


def test_a_bomb_with_a_long_text_is_refused_by_its_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture().save(tmp_path / "x.png", pnginfo=text(True, False))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(PictureError, match="too many pixels"):
        open_picture(tmp_path / "x.png")


# Parameters


def test_parameters_are_read_beside_a_long_text_and_from_a_damaged_picture(tmp_path: Path) -> None:
    info = text(True, False)
    info.add_text(PARAMETERS, '{"seed": 7}')
    picture().save(tmp_path / "x.png", pnginfo=info)
    assert read_parameters(tmp_path / "x.png") == {"seed": 7}
    save_png(picture(), tmp_path / "y.png", {"seed": 8})
    (tmp_path / "y.png").write_bytes((tmp_path / "y.png").read_bytes()[:200])
    assert read_parameters(tmp_path / "y.png") == {"seed": 8}


@pytest.mark.parametrize("itxt", [False, True])
@pytest.mark.parametrize("zip", [False, True])
def test_parameters_are_read_from_any_kind_of_text(tmp_path: Path, zip: bool, itxt: bool) -> None:
    info = PngInfo()
    (info.add_itxt if itxt else info.add_text)(PARAMETERS, '{"label": "Köln"}', zip=zip)
    picture().save(tmp_path / "x.png", pnginfo=info)
    assert read_parameters(tmp_path / "x.png") == {"label": "Köln"}


@pytest.mark.parametrize("said", ["[1, 2]", "7", "[" * 100_000, "{" + '"a":{' * 100_000, "1" * 10_000, "", LONG])
def test_parameters_that_are_no_parameters_count_as_none(tmp_path: Path, said: str) -> None:
    info = PngInfo()
    info.add_text(PARAMETERS, said, zip=True)
    picture().save(tmp_path / "x.png", pnginfo=info)
    assert read_parameters(tmp_path / "x.png") == {}


def test_files_that_are_no_png_have_no_parameters(tmp_path: Path) -> None:
    picture().save(tmp_path / "x.jpg")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"parameters" * 9)
    for name in ("x.jpg", "empty.png", "text.png"):
        assert read_parameters(tmp_path / name) == {}
    with pytest.raises(PictureError, match=r"none\.png cannot be opened"):
        read_parameters(tmp_path / "none.png")
