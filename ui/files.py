"""How pictures get to the page: as files in Gradio's cache, never as pictures in memory.

Given a picture, Gradio writes it into its cache anew each time, in place, under the eyes of a browser that may be
fetching the same picture from there. A file it copies into the cache whole, and only once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder
from PIL import Image

from ddpm_core.images.files import PictureError, open_picture

PREFIX = "studio-"  # of folders for results; `ui.serving.sweep` knows them by it


def scratch() -> TemporaryDirectory:
    """A folder for results, which goes with the object, or when it is old: see `ui.serving.sweep`."""
    return TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)


def opened_upload(path: str) -> Image.Image:
    """The picture that a visitor has open, kept for as long as it is used: see `ui.serving.sweep`.

    Raises:
        PictureError: it is no picture, or it is gone.
    """
    with suppress(OSError):
        os.utime(path)
    if not os.path.exists(path):
        raise PictureError("The picture is no longer here, for it was not used for an hour; open it again.")
    return open_picture(path)


@contextmanager
def workspace() -> Iterator[Path]:
    """A folder for one answer. Gradio copies what is handed over into its cache, so it can go afterwards."""
    with scratch() as folder:
        yield Path(folder)


def written(picture: Image.Image, folder: Path, name: str) -> str:
    """The picture as a PNG file in `folder`, written fast; its path."""
    path = folder / f"{name}.png"
    picture.save(path, compress_level=1)
    return str(path)


def cached(picture: Image.Image) -> str:
    """The picture as a PNG file in Gradio's cache, for previews and canvases; its path."""
    with workspace() as folder:
        return save_file_to_cache(written(picture, folder, "picture"), get_upload_folder())
