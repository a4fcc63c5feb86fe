"""Colour profiles made here, so that tests need no files of others."""

from __future__ import annotations

import struct

PRIMARIES = {  # adapted to D50, as profiles have them
    "Display P3": ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)),
    "sRGB": ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)),
}


def profile(name: str = "Display P3", space: bytes = b"RGB ") -> bytes:
    """An ICC profile of a matrix and sRGB's curve, or of grey and that curve."""

    def fixed(*numbers: float) -> bytes:
        return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)

    curve = b"para" + bytes(4) + struct.pack(">HH", 3, 0) + fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    text = name.encode("utf-16-be")
    words = b"mluc" + bytes(4) + struct.pack(">II", 1, 12) + b"enUS" + struct.pack(">II", len(text), 28) + text
    tags = [(b"desc", words), (b"cprt", words), (b"wtpt", b"XYZ " + bytes(4) + fixed(0.9642, 1, 0.82491))]
    if space == b"GRAY":
        tags.append((b"kTRC", b"curv" + bytes(4) + struct.pack(">IH", 1, round(1.2 * 256))))
    else:
        tags += [
            (key + b"XYZ", b"XYZ " + bytes(4) + fixed(*value))
            for key, value in zip((b"r", b"g", b"b"), PRIMARIES[name], strict=True)
        ]
        tags += [(key, curve) for key in (b"rTRC", b"gTRC", b"bTRC")]
    table, body, at = b"", b"", 132 + 12 * len(tags)
    for key, content in tags:
        content += bytes(-len(content) % 4)
        table += key + struct.pack(">II", at + len(body), len(content))
        body += content
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"lcms", 0x04300000, b"mntr", space, b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + fixed(0.9642, 1, 0.82491)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def ink_profile() -> bytes:
    """A printing press whose cyan is red: a table of the 16 mixtures of four inks, in L*a*b*."""
    red, paper, black = (120, 190, 170), (255, 128, 128), (0, 128, 128)
    corners = [black if n & 0b0111 else red if n & 0b1000 else paper for n in range(16)]  # the first ink varies slowest
    straight = bytes(range(256))
    matrix = b"".join(struct.pack(">i", 65536 * (n % 4 == 0)) for n in range(9))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + straight * 4 + bytes(sum(corners, ())) + straight * 3
    table += bytes(-len(table) % 4)
    head = struct.pack(">I4sI4s4s4s", 144 + len(table), b"lcms", 0x02400000, b"prtr", b"CMYK", b"Lab ")
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">iii", *(round(n * 65536) for n in (0.9642, 1, 0.82491)))
    return head.ljust(128, b"\0") + struct.pack(">I4sII", 1, b"A2B0", 144, len(table)) + table
