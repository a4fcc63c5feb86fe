"""Damaged uploads, checkpoints and calls, the same for the same seed."""

from __future__ import annotations

import io
import json
import random
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><rect width='9' height='9'/></svg>"
HTML = b"<!doctype html><script>alert(1)</script>"
NUMBERS: list[Any] = [0, -1, 1, 2**31, 2**63, 10**30, 0.5, -0.0, 1e308, float("nan"), float("inf"), float("-inf")]
ODD: list[Any] = [
    *NUMBERS, None, True, False, "", "0", "nan", "\0", "\ud7ff\u202e", "../../etc/passwd", "<script>", "x" * 1000, [],
    [[]], {}, {"a": 1}, [None] * 50, {"path": "x"}, {"__proto__": 1},
]  # fmt: skip


# Uploads


def sound(draw: random.Random) -> tuple[str, bytes]:
    """A small picture, whole, of one of many kinds: the suffix and its bytes."""
    mode = draw.choice(["RGB", "RGBA", "L", "P", "1", "LA", "I;16", "CMYK", "F"])
    size = draw.randint(1, 40), draw.randint(1, 40)
    kinds = {"RGBA": "PNG", "LA": "PNG", "I;16": draw.choice(["PNG", "TIFF"]), "CMYK": draw.choice(["JPEG", "TIFF"])}
    rest = draw.choice(["PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"]) if mode in ("RGB", "L", "P", "1") else "TIFF"
    kind = kinds.get(mode, rest)
    if kind == "PPM" and mode == "P":
        kind = "PNG"
    picture = Image.frombytes(mode, size, draw.randbytes(len(Image.new(mode, size).tobytes())))
    out = io.BytesIO()
    picture.save(out, kind)
    return kind.lower(), out.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(size: tuple[int, int], pixels: bytes, *more: bytes, depth: int = 8, colour: int = 0) -> bytes:
    """A PNG that says it has this size, whatever its pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def bombs() -> dict[str, bytes]:
    """Small files that unpack, or claim to unpack, to very much."""
    text = chunk(b"zTXt", b"parameters\0\0" + zlib.compress(b"x" * 2**24))
    profile = chunk(b"iCCP", b"x\0\0" + zlib.compress(b"\0" * 2**24))
    frames = io.BytesIO()
    Image.new("P", (300, 300)).save(frames, "GIF", save_all=True, append_images=[Image.new("P", (300, 300), 1)] * 200)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.png", b"\0" * 2**24)
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<H", 3) + b"".join(
        struct.pack("<HHII", tag, 4, 1, 2**31 - 1) for tag in (256, 257, 273)
    ) + b"\0\0\0\0"  # fmt: skip
    return {
        "huge.png": png((2**31 - 1, 2**31 - 1), b""),
        "wide.png": png((60_000, 60_000), b"\0" * 2**20),
        "text.png": png((2, 2), b"\0" * 6, text),
        "profile.png": png((2, 2), b"\0" * 6, profile),
        "many.png": png((2, 2), b"\0" * 6, *[chunk(b"tEXt", b"parameters\0{}")] * 5000),
        "frames.gif": frames.getvalue(),
        "zip.png": packed.getvalue(),
        "large.tiff": tiff,
        "large.gif": b"GIF89a\xff\xff\xff\xff\x80\0\0" + b"\0" * 6 + b",\0\0\0\0\xff\xff\xff\xff\0\x08\x01\0\0;",
        "large.bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 2**30, 2**30, 1, 24, 0, 0, 0, 0, 0, 0),
        "svg.png": SVG,
        "html.jpg": HTML,
        "nothing.png": b"",
        "deep.png": png((2, 2), b"\0" * 6, chunk(b"tEXt", b"parameters\0" + b"[" * 100_000)),
        "json.png": png((2, 2), b"\0" * 6, chunk(b"tEXt", b'parameters\0{"action": "generate", "seed": 1e999}')),
    }


def uploads(count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of damaged pictures: bombs and other kinds of file first, then what `damaged` makes."""
    draw = random.Random(seed)
    yield from list(bombs().items())[:count]
    for number in range(count - len(bombs())):
        kind, content = sound(draw)
        yield f"{number}.{draw.choice([kind, 'png', 'jpg', 'tif', 'gif', ''])}", damaged(content, draw)


def damaged(content: bytes, draw: random.Random) -> bytes:
    """The bytes cut off, some changed, doubled, put out of order, or with other numbers where numbers may stand."""
    damage = bytearray(content)
    match draw.randrange(6):
        case 0:
            return content[: draw.randrange(len(content) + 1)]
        case 1:
            for _ in range(draw.randint(1, 8)):
                damage[draw.randrange(len(damage))] ^= 1 << draw.randrange(8)
        case 2:
            at = draw.randrange(len(damage))
            damage[at : at + 4] = struct.pack(">I", draw.choice([0, 1, 2**16, 2**31 - 1, 2**32 - 1]))
        case 3:
            at = draw.randrange(len(damage))
            damage[at:at] = draw.randbytes(draw.randint(1, 64))
        case 4:
            at, length = draw.randrange(len(damage)), draw.randint(1, 64)
            del damage[at : at + length]
        case 5:
            at = draw.randrange(len(damage))
            damage = bytearray(content[at:] + content[:at])
    return bytes(damage)


# Checkpoints


def headers(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The header of a safetensors file, and what follows it."""
    (length,) = struct.unpack_from("<Q", content)
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def with_header(header: Any, rest: bytes, length: int | None = None) -> bytes:
    """A safetensors file of that header, whose length may be told wrong."""
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + rest


def weights(content: bytes, draw: random.Random) -> bytes:
    """A damaged safetensors file: every part of its header, then its bytes."""
    header, rest = headers(content)
    name = draw.choice([key for key in header if key != "__metadata__"])
    match draw.randrange(8):
        case 0:
            header[name]["dtype"] = draw.choice(["F64", "I64", "BOOL", "F8_E4M3", "U16", "X", "", None, 5])
        case 1:
            header[name]["shape"] = draw.choice([[], [0], [2**40], [-1], ["x"], None, header[name]["shape"] + [1]])
        case 2:
            header[name]["data_offsets"] = draw.choice([[0, 0], [5, 1], [0, 2**62], [-1, 3], [0], None])
        case 3:
            header[draw.choice(["x", "../x", "", "\0", name + "x"])] = header.pop(name)
        case 4:
            del header[name]
        case 5:
            header["__metadata__"] = draw.choice([{"finished": 5}, {"finished": "x" * 9}, [], None, {"a": {"b": {}}}])
        case 6:
            return with_header(header, rest, draw.choice([0, 1, 2**20, 2**40, 2**63, 2**64 - 1]))
        case 7:
            return damaged(content, draw)
    return with_header(header, rest)


def places(content: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Ways to all values in nested dictionaries and lists."""
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        yield (*above, key)
        yield from places(value, (*above, key))


def config(content: bytes, draw: random.Random) -> bytes:
    """A damaged config.json: any of its values another one, missing, or one too much; or its bytes damaged."""
    if draw.random() < 0.15:
        return damaged(content, draw)
    whole = json.loads(content)
    *way, last = draw.choice(list(places(whole)))
    inner = whole
    for key in way:
        inner = inner[key]
    match draw.randrange(6):
        case 0:
            del inner[last]
        case 1 if isinstance(inner, dict):
            inner["surplus"] = draw.choice(ODD)
        case _:
            large = [10**6, 10**9, [10**5] * 3, [64] * 5000, 2**63]
            inner[last] = draw.choice([*large, *ODD])
    return json.dumps(whole).encode()


def checkpoints(folder: Path, count: int, into: Path, seed: int = 0) -> Iterator[tuple[str, Path]]:
    """Copies of a checkpoint, one after the other in the same place, of which one file each is damaged; and which."""
    draw = random.Random(seed)
    makers = {".json": config, ".safetensors": weights}
    files = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    files += [file for file in files if file.suffix == ".json"]  # there is most to damage in
    for number in range(count):
        file = draw.choice(files)
        shutil.rmtree(into, ignore_errors=True)
        shutil.copytree(folder, into)
        (into / file).write_bytes(makers.get(file.suffix, damaged)((folder / file).read_bytes(), draw))
        yield f"{number}: {file}", into


# Calls


def calls(endpoints: dict[str, dict[str, Any]], count: int, file: str, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Paths and bodies of damaged calls.

    Args:
        endpoints: of each, values by parameter that are in order, and quickly done.
        file: path of an upload.
    """
    draw = random.Random(seed)
    pictures = [
        {"path": file}, {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, {"path": 5}, file, [file], "",
        {"path": file + "x", "meta": {"_type": "gradio.FileData"}}, {"path": "http://127.0.0.1/x"}, {"url": "data:,x"},
        {"path": "\0", "meta": {"_type": "gradio.FileData"}}, {"path": "", "meta": {"_type": "gradio.FileData"}},
        {"path": file, "meta": {"_type": "gradio.FileData"}, "is_stream": True, "orig_name": "../x.svg"},
    ]  # fmt: skip
    long = "x" * (10 * 2**20)
    nested: list[Any] = []
    for _ in range(900):
        nested = [nested]
    for number in range(count):
        name = draw.choice(list(endpoints))
        given = dict(endpoints[name])
        for parameter in draw.sample(list(given), min(len(given), draw.randint(0, 2))):
            odd = [*ODD, *pictures] if given[parameter] is not None else pictures
            given[parameter] = draw.choice(odd)
        if draw.random() < 0.2:
            given[draw.choice(["surplus", "", "session_hash", "__class__"])] = draw.choice(ODD)
        if draw.random() < 0.05 and given:
            given[draw.choice(list(given))] = draw.choice([long, nested])
        values = list(given.values())
        if draw.random() < 0.1:
            values = values[: draw.randrange(len(values) + 1)]
        match number % 4:
            case 0 | 1:
                path, body = f"call/v2/{name}", json.dumps(given).encode()
            case 2:
                path, body = f"call/{name}", json.dumps({"data": values}).encode()
            case _:
                more = {"fn_index": draw.choice([None, 0, -1, 10**9, "x"]), "event_data": draw.choice(ODD)}
                path, body = f"run/{name}", json.dumps({"data": values, **more}).encode()
        yield path, damaged(body, draw) if draw.random() < 0.05 and len(body) < 10**5 else body
