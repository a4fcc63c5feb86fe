"""What stands on the page before anyone has pressed anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from ddpm_core.checkpoints import native
from ddpm_core.images.files import save_png
from ddpm_core.requests import BetweenRequest, GenerateRequest
from tests.shipped_pictures import CHECKPOINTS
from ui import examples


def test_what_is_laid_on_a_sheet_is_cut_out_of_it_again() -> None:
    rows = [[Image.new("RGB", (4, 4), (row, column, 0)) for column in range(3)] for row in range(2)]
    again = examples._cut(examples._laid(rows), 2)
    assert [[picture.tobytes() for picture in row] for row in again] == [[p.tobytes() for p in row] for row in rows]


def test_the_request_is_read_from_the_first_picture_and_counts_them_all(tmp_path: Path) -> None:
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for seed, path in enumerate(paths, 7):
        save_png(Image.new("RGB", (4, 4)), path, {"action": "generate", "checkpoint": "x", "seed": seed, "count": 1})
    made = examples.request_of(paths)
    assert made is not None
    assert (made.seed, made.count) == (7, 2)


@pytest.mark.parametrize("said", [{}, {"seed": -4}, {"checkpoint": "x"}])
def test_a_picture_that_does_not_say_how_it_was_made_has_no_request(tmp_path: Path, said: dict[str, object]) -> None:
    save_png(Image.new("RGB", (4, 4)), tmp_path / "a.png", said)
    assert examples.request_of([tmp_path / "a.png"]) is None


def test_without_shipped_pictures_there_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "FOLDER", tmp_path)
    assert (examples.faces(), examples.inpainted(), examples.edited(), examples.frames()) == ([], None, None, [])
    assert examples.between() == ([], None)
    assert examples.request_of([]) is None


def test_those_shipped_are_complete_and_say_how_they_were_made() -> None:
    own = native.read_config(CHECKPOINTS / "faces-128").defaults["generate"]
    expected = GenerateRequest(seed=examples.FIRST_SEED, count=examples.FACES, **own)
    assert examples.request_of(examples.faces()) == expected
    pictures, way = examples.between()
    assert isinstance(way, BetweenRequest)
    assert len(pictures) == way.count
    seen, believed = examples.frames()
    assert len(seen) == len(believed) == examples.FRAMES
