"""Pictures in `.zip` and `.tar`: nothing is unpacked to disk, and no name inside is taken for a path."""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from ddpm_core.images.files import Member, PictureError

ZIPS = (".zip",)
TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MOST = 2**30  # bytes; what says it has more is no picture, and reading it would take as much memory

# Methods of packing a file in a `.zip`: those that Python reads, and names of some that it does not.
READABLE = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
READABLE |= {getattr(zipfile, "ZIP_ZSTANDARD", zipfile.ZIP_STORED)}  # from Python 3.14 on
METHODS = {1: "Shrink", 6: "Implode", 9: "Deflate64, as Windows does from 2 GB on", 20: "Zstandard", 93: "Zstandard"}
METHODS |= {95: "XZ", 96: "JPEG", 98: "PPMd", 99: "AES"}

# What the readers raise where an archive is damaged, beside errors of their own.
DAMAGE = (OSError, EOFError, ValueError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError)


def is_archive(path: Path) -> bool:
    """Whether a file is an archive, by its name."""
    return path.name.lower().endswith(ZIPS + TARS)


def members(path: Path, needed: Collection[str] = ()) -> tuple[dict[str, Member], int]:
    """The files in an archive by name, and how many links are left out.

    Args:
        needed: suffixes of the files that have to be readable.

    Raises:
        PictureError: it is damaged, encrypted or no archive, or a needed file is packed in a way that Python does not
            know.
    """
    kind, found = ("zip", _in_zip) if path.name.lower().endswith(ZIPS) else ("tar", _in_tar)
    try:
        files, links = found(path, needed)
        return {member.name: member for member in files}, links
    except PictureError:
        raise
    except DAMAGE as error:
        reason = (str(error).splitlines() or ["it is damaged"])[0].rstrip(".:")
        raise PictureError(f"{path} cannot be read as a {kind} archive: {reason}.") from None


def _in_zip(path: Path, needed: Collection[str]) -> tuple[list[Member], int]:
    archive = zipfile.ZipFile(path)
    files = [info for info in archive.infolist() if not info.is_dir()]
    if any(info.flag_bits & 1 for info in files):
        raise PictureError(f"{path} is encrypted; unpack it and give its folder.")
    unreadable = [f for f in files if f.compress_type not in READABLE and Path(f.filename).suffix.lower() in needed]
    if unreadable:
        number = unreadable[0].compress_type
        method = METHODS.get(number, f"method {number}")
        raise PictureError(
            f"{path} is packed with {method}, which cannot be read here ({len(unreadable)} of its files, "
            f"{Path(unreadable[0].filename).name} first); unpack it and give its folder, or pack it anew with Deflate."
        )
    return [_member(f.filename, f.header_offset, f.file_size, partial(archive.read, f)) for f in files], 0


def _in_tar(path: Path, needed: Collection[str]) -> tuple[list[Member], int]:
    """The same for a `.tar`; seeking back in a compressed one begins anew, so places in order cost one pass."""
    archive = tarfile.open(path)  # noqa: SIM115

    def content(file: tarfile.TarInfo) -> bytes:
        stream = archive.extractfile(file)
        return stream.read() if stream else b""

    everything = list(archive)
    links = sum(file.issym() or file.islnk() for file in everything)
    return [_member(f.name, f.offset_data, f.size, partial(content, f)) for f in everything if f.isreg()], links


def _member(name: str, place: int, size: int, read: Callable[[], bytes]) -> Member:
    name = name.replace("\\", "/").lstrip("/")  # some programs on Windows write the one for the other

    def content() -> bytes:
        if size > MOST:
            raise PictureError(f"{Path(name).name} is too large for a picture: {size / 2**30:.1f} GiB.")
        return read()

    return Member(name, place, content)
