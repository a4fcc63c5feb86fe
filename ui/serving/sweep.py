"""Uploads and results go an hour after they were last used, or earlier if they are too many.

Gradio forgets with its process what it made; this looks at the files, so what a killed process has left goes, too.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from gradio.utils import get_upload_folder

from ui.files import PREFIX
from ui.serving.guard import PLACE
from ui.serving.line import line_of

HOUR = 60 * 60  # seconds that uploads and results are kept after they were last used
AT_LEAST = 5 * 60  # seconds that they are kept however many they are
GB = 10**9  # bytes
EVERY = 60  # seconds between two sweeps
BROKEN_OFF = re.compile(r"tmp\w{8}")  # an upload that did not come to its end, as `tempfile` names them

log = logging.getLogger(__name__)


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    """Sweep for as long as the server runs."""
    task = asyncio.create_task(_sweep_on_schedule(app))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _sweep_on_schedule(app: Any) -> None:
    while True:
        blocks = app.get_blocks().blocks.values()
        opens_with = {file for block in blocks for file in getattr(block, "keep_in_cache", ())}
        most = line_of(app.get_blocks()).settings.max_disk * GB
        try:
            await asyncio.to_thread(sweep, Path(get_upload_folder()), opens_with, most=most)
        except OSError:  # the disk is gone, say; it may come back
            log.exception("old files could not be swept")
        await asyncio.sleep(EVERY)


def sweep(
    cache: Path,
    keep: Collection[str] = (),
    scratch: Path | None = None,
    age: float = HOUR,
    most: float = math.inf,
) -> int:
    """Remove what is older than `age` seconds; how many files went.

    Args:
        cache: Gradio's, a folder per file; nothing else in it is touched.
        keep: files in it that the page opens with, which are made young again.
        scratch: where folders of results are made; by default that for temporary files.
        most: bytes that the cache may hold; of more, the oldest go earlier, but none within `AT_LEAST`.
    """
    for file in keep:
        with suppress(OSError):
            os.utime(file)
    before, gone = max(time.time() - age, _too_many_before(cache, most)), 0
    for entry in _entries(cache):
        if PLACE.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
            for inside in _entries(entry.path):
                gone += _removed(inside, before)
            with suppress(OSError):  # it is not empty, or another process was faster
                if _age(entry) < before:
                    os.rmdir(entry.path)
        elif BROKEN_OFF.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
            gone += _removed(entry, before)
    for entry in _entries(scratch or tempfile.gettempdir()):
        if entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False) and _ours(entry):
            files = list(_entries(entry.path))
            if max(map(_age, [entry, *files])) < before:
                shutil.rmtree(entry.path, ignore_errors=True)
                gone += len(files)
    return gone


def _too_many_before(cache: Path, most: float) -> float:
    """What was last used before this time is too much for `most` bytes."""
    files = [file for entry in _entries(cache) if PLACE.fullmatch(entry.name) for file in _entries(entry.path)]
    held = 0
    for at, size in sorted(((_age(file), _size(file)) for file in files), reverse=True):
        held += size
        if held > most:
            return min(math.nextafter(at, math.inf), time.time() - AT_LEAST)
    return 0.0


def _size(file: os.DirEntry[str]) -> int:
    try:
        return file.stat(follow_symlinks=False).st_size
    except OSError:  # it is gone
        return 0


def _entries(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            yield from list(found)
    except OSError:
        return


def _age(entry: os.DirEntry[str]) -> float:
    """When it was put there, last written or touched; 0 if it is gone."""
    try:
        found = entry.stat(follow_symlinks=False)
        return max(found.st_mtime, found.st_ctime)  # a copy may have its original's time of writing
    except OSError:
        return 0.0


def _ours(entry: os.DirEntry[str]) -> bool:
    try:
        return not hasattr(os, "getuid") or entry.stat(follow_symlinks=False).st_uid == os.getuid()
    except OSError:  # whose results they were was faster
        return False


def _removed(file: os.DirEntry[str], before: float) -> bool:
    if _age(file) >= before:
        return False
    try:
        os.unlink(file.path)
    except OSError:
        return False
    return True
