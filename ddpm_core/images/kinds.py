"""Kinds of files that people take for pictures and that may not be readable here."""

from __future__ import annotations

from typing import NamedTuple

from PIL import Image

HEAD = 512  # bytes of a file that tell its kind


class Kind(NamedTuple):
    """A kind of file, and what to do to have it read.

    Attributes:
        name: with its article.
        advice: an imperative.
        suffix: of the files that Pillow reads with an optional reader, or empty.
    """

    name: str
    advice: str
    suffix: str = ""

    def sentence(self, file: str) -> str:
        """What to say of a file of this kind."""
        return f"{file} is not a picture that can be read, but {self.name}; {self.advice}."


SAVE = "save it as a PNG or JPEG"
HEIC = Kind("a HEIC photo", f"{SAVE}, or install the reader: pip install pillow-heif", ".heic")
BRANDS = {  # of the boxes that a file of this family says it is made of
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), HEIC),
    **dict.fromkeys((b"avif", b"avis"), Kind("an AVIF picture", f"{SAVE}, or install a newer Pillow", ".avif")),
    b"crx ": Kind("a raw photo", f"develop it, then {SAVE}"),
}
FILM = Kind("a film", "take a frame of it")
STARTS = {
    b"%PDF": Kind("a PDF document", SAVE),
    b"gimp xcf": Kind("a GIMP project", "export it as a PNG"),
    b"8BPS": Kind("a Photoshop document", SAVE),
    b"\xff\x0a": Kind("a JPEG XL picture", SAVE),
    b"\0\0\0\x0cJXL ": Kind("a JPEG XL picture", SAVE),
    b"FUJIFILMCCD-RAW": Kind("a raw photo", f"develop it, then {SAVE}"),
    b"IIU\0": Kind("a raw photo", f"develop it, then {SAVE}"),
    b"v/1\x01": Kind("an OpenEXR picture", SAVE),
    b"#?RADIANCE": Kind("a Radiance HDR picture", SAVE),
    b"\x1aE\xdf\xa3": FILM,
    b"PK\x03\x04": Kind("a zip archive or a document", "unpack it, and open a picture from it"),
}


def of(head: bytes) -> Kind | None:
    """The kind of a file that begins so; None for all but those not readable here."""
    kind = _known(head)
    return None if kind is None or kind.suffix in Image.registered_extensions() else kind


def _known(head: bytes) -> Kind | None:
    if head[4:8] == b"ftyp":
        # The first brand may be a common one, and what the picture is stand among those it is compatible with.
        brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(int.from_bytes(head[:4], "big"), HEAD), 4))]
        return next((BRANDS[brand] for brand in brands if brand in BRANDS), FILM)
    if b"<svg" in head.lower():
        return Kind("an SVG drawing", SAVE)
    return next((kind for start, kind in STARTS.items() if head.startswith(start)), None)


def register() -> None:
    """Have Pillow read HEIC, too, where the optional package is installed."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return
    register_heif_opener()
