"""Grey of more than 8 bits comes in with the range that is there."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from ddpm_core.images.files import as_rgb, open_picture


def tiff(path: Path, numbers: np.ndarray, kind: int) -> Path:
    """An uncompressed TIFF of grey (H, W) whose sample format is `kind`: 1 unsigned, 2 signed, 3 float."""
    height, width = numbers.shape
    bits = numbers.dtype.itemsize * 8
    entries = [(256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1)]
    entries += [(278, 4, height), (279, 4, numbers.nbytes), (339, 3, kind)]
    content = numbers.astype(numbers.dtype.newbyteorder("<")).tobytes()
    head = struct.pack("<2sHI", b"II", 42, 8 + len(content))
    ifd = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", tag, t, 1, v) for tag, t, v in entries)
    path.write_bytes(head + content + ifd + struct.pack("<I", 0))
    return path


RANGES = [
    (np.float32, 3, (-1.5, 0.5, 2.5), (0, 128, 255)),
    (np.float32, 3, (1000.0, 1500.0, 2000.0), (0, 128, 255)),
    (np.float32, 3, (0.0, 0.0005, 0.001), (0, 128, 255)),
    (np.float32, 3, (0.0, 0.2, 1.0), (0, 51, 255)),
    (np.float32, 3, (0.0, 51.0, 204.0), (0, 51, 204)),
    (np.int16, 2, (-1000, 0, 1000), (0, 128, 255)),
    (np.int32, 2, (-200, 0, 200), (0, 128, 255)),
    (np.int32, 2, (0, 51, 200), (0, 51, 200)),
    (np.uint32, 1, (0, 2**31, 2**32 - 1), (0, 128, 255)),
    (np.uint32, 1, (0, 50_000, 100_000), (0, 128, 255)),
    (np.int8, 2, (-128, 0, 127), (0, 128, 255)),
    (np.uint16, 1, (0, 257 * 51, 65535), (0, 51, 255)),
]


@pytest.mark.parametrize(("dtype", "kind", "stored", "shown"), RANGES)
def test_a_tiff_of_science_uses_the_range_that_is_there(
    tmp_path: Path, dtype: type, kind: int, stored: tuple[float, ...], shown: tuple[int, ...]
) -> None:
    opened = open_picture(tiff(tmp_path / "x.tif", np.array([stored], dtype), kind))
    assert opened.mode == "RGB"
    assert np.asarray(opened)[0, :, 1].tolist() == list(shown)


def test_what_is_no_number_or_infinite_does_not_stretch_the_range(tmp_path: Path) -> None:
    stored = np.array([[np.nan, -np.inf, 10, 20, np.inf]], np.float32) * 100_000
    opened = open_picture(tiff(tmp_path / "x.tif", stored, 3))
    assert np.asarray(opened)[0, :, 0].tolist() == [0, 0, 0, 255, 255]


@pytest.mark.parametrize("level", [0.0, 0.5, 7.0, -3.0, 1e9])
def test_one_number_everywhere_is_a_picture_too(tmp_path: Path, level: float) -> None:
    assert open_picture(tiff(tmp_path / "x.tif", np.full((2, 2), level, np.float32), 3)).size == (2, 2)


def test_a_dark_16_bit_png_stays_dark(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 257 * 9]], np.uint16)).save(tmp_path / "x.png")
    assert np.asarray(open_picture(tmp_path / "x.png"))[0, :, 0].tolist() == [0, 9]


def png(bits: int, color: int, row: bytes, width: int, clear: bytes) -> io.BytesIO:
    """A PNG of one row with a tRNS chunk."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, 1, bits, color, 0, 0, 0)
    return io.BytesIO(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"tRNS", clear)
        + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    )  # fmt: skip


@pytest.mark.parametrize(
    ("bits", "color", "row", "clear"),
    [
        (1, 0, b"\x40", b"\0\1"),
        (2, 0, b"\x20", b"\0\2"),
        (4, 0, b"\x0a\x00", b"\0\x0a"),
        (8, 0, b"\x00\xaa\x00", b"\0\xaa"),
        (16, 0, b"\x00\x00\xab\xcd\xab\xce", b"\xab\xcd"),
        (8, 2, bytes(3) + b"\x0a\x0b\x0c" + bytes(3), b"\0\x0a\0\x0b\0\x0c"),
        (16, 2, bytes(6) + b"\x0a\x01\x0b\x02\x0c\x03" + bytes(6), b"\x0a\x01\x0b\x02\x0c\x03"),
    ],
)
def test_a_number_that_means_transparent_is_understood_at_any_depth(
    tmp_path: Path, bits: int, color: int, row: bytes, clear: bytes
) -> None:
    (tmp_path / "x.png").write_bytes(png(bits, color, row, 3, clear).getvalue())
    opened = open_picture(tmp_path / "x.png")
    assert opened.mode == "RGBA"
    assert np.asarray(opened)[0, :, 3].tolist() == [255, 0, 255]
    assert as_rgb(opened).getpixel((1, 0)) == (255, 255, 255)


def test_a_tiff_is_recognised_by_its_reader(tmp_path: Path) -> None:
    with Image.open(tiff(tmp_path / "x.tif", np.zeros((1, 2), np.int8), 2)) as picture:
        assert isinstance(picture, TiffImagePlugin.TiffImageFile)
        assert picture.mode == "L"  # Pillow takes it for unsigned, so what the file says has to be asked for
