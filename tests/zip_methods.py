"""A `.zip` whose files say that they are packed with some method, whether Python knows it or not."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

from PIL import Image


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
