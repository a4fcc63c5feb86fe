"""How pictures get to the page: as files in Gradio's cache, never as pictures in memory.

Given a picture, Gradio writes it into its cache anew each time, in place, under the eyes of a browser that may be
fetching the same picture from there. A file it copies into the cache whole, and only once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder
from PIL import Image


@contextmanager
def workspace() -> Iterator[Path]:
    """A folder for one answer. Gradio copies what is handed over into its cache, so it can go afterwards."""
    with TemporaryDirectory(prefix="studio-") as folder:
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
