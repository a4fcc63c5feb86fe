"""Uploaded pictures, kept for a training run: the page's own copies go after an hour."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

from ddpm_core.data.find import find
from ddpm_core.data.listing import SUFFIXES
from ddpm_core.images.files import PictureError
from ui.errors import Problem

MEGABYTE = 2**20
MAX_TOTAL = 500 * MEGABYTE  # of pictures uploaded one by one; each file is at most what `launch` allows
MAX_UNPACKED = 4096 * MEGABYTE  # of what an archive says it holds: a small one can hold a lot of nothing
MAX_PICTURES = 20_000  # of one upload; more are better named as a folder of the machine


def pack(files: Sequence[str] | None, archive: Path) -> None:
    """Write one uploaded `.zip`, or pictures uploaded one by one, to `archive`; nothing is unpacked.

    Raises:
        Problem: there is nothing, a mixture, or too much.
    """
    paths = [Path(file) for file in files or []]
    if not paths:
        raise Problem("Choose pictures first: a .zip of them, or several files.")
    zips = [path for path in paths if path.suffix.lower() == ".zip"]
    if zips and len(paths) > 1:
        raise Problem("Choose one .zip, or several pictures, not both.")
    strangers = [path.name for path in paths if path.suffix.lower() not in {*SUFFIXES, ".zip"}]
    if strangers:
        raise Problem(f"{strangers[0]} is neither a .zip nor a picture.")
    if zips:
        _look_into(zips[0])
        shutil.copyfile(zips[0], archive)
        return
    if sum(path.stat().st_size for path in paths) > MAX_TOTAL:
        raise Problem(f"These are more than {MAX_TOTAL // MEGABYTE} MB of pictures; train from the shell instead.")
    _count(len(paths))
    with zipfile.ZipFile(archive, "w") as packed:  # stored as they are: pictures do not get smaller
        for number, path in enumerate(paths):
            packed.write(path, f"{number:05d}{path.suffix.lower()}")


def _look_into(archive: Path) -> None:
    """Say what is wrong with an archive now, not when the run has begun."""
    try:
        with zipfile.ZipFile(archive) as packed:
            unpacked = sum(member.file_size for member in packed.infolist())
        if unpacked > MAX_UNPACKED:
            raise Problem(f"{archive.name} unpacks to more than {MAX_UNPACKED // MEGABYTE} MB; make it smaller.")
        _count(sum(map(len, find(archive).sources.values())))
    except (zipfile.BadZipFile, OSError):
        raise Problem(f"{archive.name} cannot be read as a zip archive; pack it anew.") from None
    except PictureError as error:
        raise Problem(str(error).replace(str(archive), archive.name)) from None


def _count(pictures: int) -> None:
    if pictures > MAX_PICTURES:
        raise Problem(f"These are {pictures} pictures; more than {MAX_PICTURES} can only be trained on from the shell.")
