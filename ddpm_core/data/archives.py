"""Pictures in archives, `.zip` and `.tar`: nothing is unpacked to disk, and no name in one is taken for a path."""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ddpm_core.images.files import Member, PictureError

ZIPS = (".zip",)
TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MOST = 2**30  # bytes; what says it has more is no picture, and reading it would take as much memory

# What the readers raise where an archive is damaged, beside errors of their own.
DAMAGE = (OSError, EOFError, ValueError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError)


def is_archive(path: Path) -> bool:
    """Whether a file is an archive, by its name."""
    return path.name.lower().endswith(ZIPS + TARS)


def members(path: Path) -> dict[str, Member]:
    """The files in an archive by their names in it, which have no slash in front; links and folders are left out.

    Raises:
        PictureError: it is damaged, encrypted or no archive.
    """
    kind, found = ("zip", _in_zip) if path.name.lower().endswith(ZIPS) else ("tar", _in_tar)
    try:
        return {member.name: member for member in found(path)}
    except PictureError:
        raise
    except DAMAGE as error:
        reason = (str(error).splitlines() or ["it is damaged"])[0].rstrip(".:")
        raise PictureError(f"{path} cannot be read as a {kind} archive: {reason}.") from None


def _in_zip(path: Path) -> list[Member]:
    archive = zipfile.ZipFile(path)
    files = [info for info in archive.infolist() if not info.is_dir()]
    if any(info.flag_bits & 1 for info in files):
        raise PictureError(f"{path} is encrypted; unpack it and give its folder.")
    return [_member(f.filename, f.header_offset, f.file_size, partial(archive.read, f)) for f in files]


def _in_tar(path: Path) -> list[Member]:
    """The same for a `.tar`, compressed or not.

    A compressed one is a single stream: seeking forwards in it decompresses what lies between, seeking backwards
    begins again. So members cost one pass together if they are read in the order of their places, in any other order
    up to one pass each.
    """
    archive = tarfile.open(path)  # noqa: SIM115

    def content(file: tarfile.TarInfo) -> bytes:
        stream = archive.extractfile(file)
        return stream.read() if stream else b""

    return [_member(f.name, f.offset_data, f.size, partial(content, f)) for f in archive if f.isreg()]


def _member(name: str, place: int, size: int, read: Callable[[], bytes]) -> Member:
    name = name.replace("\\", "/").lstrip("/")  # some programs on Windows write the one for the other

    def content() -> bytes:
        if size > MOST:
            raise PictureError(f"{Path(name).name} is too large for a picture: {size / 2**30:.1f} GiB.")
        return read()

    return Member(name, place, content)
