"""How pictures get to the page: as files in Gradio's cache, never as pictures in memory.

Gradio writes a picture in place each time, under a browser's eyes; a file it copies whole, and once.
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
    """A folder for results, which goes with the object, or when it is old (`ui.serving.sweep`)."""
    return TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)


def opened_upload(path: str) -> Image.Image:
    """The picture that a visitor has open, kept for as long as it is used (`ui.serving.sweep`).

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
    """A folder for one answer; Gradio copies what is handed over into its cache."""
    with scratch() as folder:
        yield Path(folder)


def written(picture: Image.Image, folder: Path, name: str) -> str:
    """Path of the picture as a PNG file in `folder`, written fast."""
    path = folder / f"{name}.png"
    picture.save(path, compress_level=1)
    return str(path)


def copied(path: str | Path) -> str:
    """Path of a copy of a shipped file in Gradio's cache: others than those the page opens with it would refuse."""
    return save_file_to_cache(path, get_upload_folder())


def cached(picture: Image.Image) -> str:
    """Path of the picture as a PNG file in Gradio's cache."""
    with workspace() as folder:
        return save_file_to_cache(written(picture, folder, "picture"), get_upload_folder())
