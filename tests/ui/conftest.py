"""The app in this process with the tiny checkpoint, and pictures of every shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from gradio_client import Client
from PIL import Image

from tests.kinds import watch
from ui.models import Shelf
from ui.page import build, launch_settings


@pytest.fixture(scope="session", autouse=True)
def pages_are_opened_by_integration_tests() -> Iterator[None]:
    """A page that a unit test opens to visitors is noticed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gr.Blocks, "launch", watch.watched("the app", gr.Blocks.launch))
        yield


@pytest.fixture(scope="session")
def shelf(tiny_checkpoint: Path) -> Shelf:
    """The shelf with the tiny checkpoint on it."""
    return Shelf.around(tiny_checkpoint, "cpu")


@pytest.fixture(scope="session")
def studio(shelf: Shelf) -> gr.Blocks:
    """The whole page, which takes a second or two to build; tests only read it."""
    return build(shelf)


@pytest.fixture(scope="session")
def client(studio: gr.Blocks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A program that talks to the app."""
    _, address, _ = studio.launch(server_name="127.0.0.1", prevent_thread_lock=True, **launch_settings())
    yield Client(address, verbose=False, download_files=tmp_path_factory.mktemp("answers"))
    studio.close()


def grain(width: int, height: int, channels: int = 3) -> np.ndarray:
    """Noise, uint8, so that a pixel that moved or was smoothed is noticed."""
    return np.random.default_rng(width * height).integers(0, 256, (height, width, channels), dtype=np.uint8)


def _rotated(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    Image.fromarray(grain(60, 40)).save(path, exif=exif)


def _palette(path: Path) -> None:
    Image.fromarray(grain(50, 50)).quantize(64).save(path)


def _deep(path: Path) -> None:
    Image.fromarray(grain(50, 40, 2).astype(np.uint16) @ np.array([1, 256], np.uint16)).save(path)


SHAPES: dict[str, Callable[[Path], None]] = {
    "rgba": lambda path: Image.fromarray(grain(50, 40, 4)).save(path),
    "grey": lambda path: Image.fromarray(grain(50, 40, 1)[:, :, 0]).save(path),
    "grey and alpha": lambda path: Image.fromarray(grain(50, 40, 4)).convert("LA").save(path),
    "palette": _palette,
    "16-bit": _deep,
    "rotated": _rotated,
    "tall": lambda path: Image.fromarray(grain(20, 300)).save(path),
    "wide": lambda path: Image.fromarray(grain(300, 20)).save(path),
    "tiny": lambda path: Image.fromarray(grain(3, 5)).save(path),
    "large": lambda path: Image.fromarray(grain(2400, 1600)).save(path),
}


@pytest.fixture(params=list(SHAPES))
def upload(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A picture file, one of every shape."""
    path = tmp_path / f"{request.param}.png"
    SHAPES[request.param](path)
    return path
