"""What files hold beside pixels, read by hand, so that it never decides whether pixels are read.

Pillow refuses a PNG whose text unpacks to more than a megabyte, and stumbles over broken EXIF.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from PIL import Image

from ddpm_core.images.colors import LARGEST

PNG, JPEG, EXIF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"Exif\0\0"
PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}  # all that a PNG's pixels need; of an animation, its first
LONGEST = 2**20  # bytes of a text that is read
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Bare(NamedTuple):
    """A file without what it holds beside pixels, and of that, what changes how they look."""

    content: bytes
    exif: bytes = b""
    profile: bytes | None = None


def bare(content: bytes) -> Bare:
    """A PNG, JPEG or WebP stripped to its pixels; any other file as it is."""
    if content.startswith(PNG):
        return _bare_png(content)
    if content.startswith(JPEG):
        return _bare_jpeg(content)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return _bare_webp(content)
    return Bare(content)


def upright(picture: Image.Image) -> Image.Image:
    """The picture turned as its EXIF says, if that can be read."""
    try:
        turn = TURNS.get(picture.getexif().get(ORIENTATION, 1))
    except Exception:  # what is broken in EXIF that has nothing to do with the turn
        turn = None
    exif = picture.info.get("exif")
    turn = turn or TURNS.get(orientation(exif if isinstance(exif, bytes) else b""))
    return picture if turn is None else picture.transpose(turn)


def orientation(exif: bytes) -> int:
    """The turn in a block of EXIF, 1 (none) to 8, whatever else is broken in it."""
    start = re.search(rb"II\*\0|MM\0\*", exif[:32])
    if start is None:
        return 1
    block = exif[start.start() :]
    order = "<" if block[:1] == b"I" else ">"
    try:
        at = struct.unpack_from(order + "I", block, 4)[0]
        for entry in range(struct.unpack_from(order + "H", block, at)[0]):
            tag, kind, _ = struct.unpack_from(order + "HHI", block, at + 2 + 12 * entry)
            if tag == ORIENTATION and kind in (3, 4):
                value = struct.unpack_from(order + {3: "H", 4: "I"}[kind], block, at + 10 + 12 * entry)[0]
                return value if 1 <= value <= 8 else 1
    except struct.error:  # cut off
        pass
    return 1


def png_text(file: BinaryIO, keyword: str) -> str | None:
    """A PNG's text of that keyword, the last if there are several, or None; none of over `LONGEST` bytes."""
    found = None
    if file.read(len(PNG)) != PNG:
        return None
    for name, length in _chunks(file):
        if name not in (b"tEXt", b"zTXt", b"iTXt") or length > LONGEST:
            continue
        key, _, rest = file.read(length).partition(b"\0")
        if key.decode("latin-1") == keyword and (text := _text(name, rest)) is not None:
            found = text
    return found


def _text(name: bytes, rest: bytes) -> str | None:
    if name == b"tEXt":
        return rest.decode("latin-1")
    if name == b"zTXt":
        unpacked = _unpacked(rest[1:], LONGEST)
        return None if unpacked is None else unpacked.decode("latin-1")
    packed, (_, _, text) = rest[:1] == b"\1", (rest[2:].split(b"\0", 2) + [b""] * 3)[:3]
    unpacked = _unpacked(text, LONGEST) if packed else text
    return None if unpacked is None else unpacked.decode("utf-8", errors="replace")


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Names and lengths of a PNG's chunks, `file` at the content of each."""
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        start = file.tell()
        yield name, length
        file.seek(start + length + 4)


def _bare_png(content: bytes) -> Bare:
    file, pieces, exif, profile = io.BytesIO(content), [PNG], b"", None
    file.seek(len(PNG))
    for name, length in _chunks(file):
        start = file.tell()
        if name in PIXELS:
            pieces.append(content[start - 8 : start + length + 4])
        elif name == b"eXIf":
            exif = content[start : start + length]
        elif name == b"iCCP":
            profile = _unpacked(content[start : start + length].partition(b"\0")[2][1:], LARGEST)
    return Bare(b"".join(pieces), exif, profile)


def _bare_jpeg(content: bytes) -> Bare:
    pieces, exif, at = [content[:2]], b"", 2
    while content[at : at + 1] == b"\xff" and at + 4 <= len(content):
        marker, length = content[at + 1], struct.unpack_from(">H", content, at + 2)[0]
        if marker == 0xDA or marker == 0xFF:  # the pixels begin, or a filling byte stands before them
            break
        segment = content[at : at + 2 + length]
        if marker == 0xE1 and segment[4:10] == EXIF:
            exif = exif or segment[4:]
        # JFIF and Adobe's word say how colours are stored; among the second kind are profiles and other pictures
        dropped = (0xE1 <= marker <= 0xEF and marker != 0xEE) or marker == 0xFE
        if not dropped or segment[4:16] == b"ICC_PROFILE\0":
            pieces.append(segment)
        at += 2 + length
    return Bare(b"".join([*pieces, content[at:]]), exif)


def _bare_webp(content: bytes) -> Bare:
    pieces, exif, profile, at = [], b"", None, 12
    while at + 8 <= len(content):
        name, length = struct.unpack_from("<4sI", content, at)
        chunk, body = content[at : at + 8 + length + length % 2], content[at + 8 : at + 8 + length]
        if name == b"EXIF":
            exif = body
        elif name == b"ICCP":
            profile = body
        elif name == b"VP8X":  # says which of the others there are
            pieces.append(chunk[:8] + bytes([chunk[8] & ~0x2C]) + chunk[9:])
        elif name != b"XMP ":
            pieces.append(chunk)
        at += 8 + length + length % 2
    body = b"WEBP" + b"".join(pieces)
    return Bare(b"RIFF" + struct.pack("<I", len(body)) + body, exif, profile)


def _unpacked(packed: bytes, most: int) -> bytes | None:
    """What was compressed, None if it is damaged or more than `most` bytes."""
    reader = zlib.decompressobj()
    try:
        content = reader.decompress(packed, most)
    except zlib.error:
        return None
    return None if reader.unconsumed_tail or not reader.eof else content
