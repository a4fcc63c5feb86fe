"""Masks that are put on the canvas without a brush."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm_core.images.masks import FACE_PARTS
from ui.components.canvas_paint import masked, ready_made
from ui.errors import Problem


@pytest.fixture
def photo(tmp_path: Path) -> str:
    path = tmp_path / "photo.png"
    Image.new("RGB", (60, 40), "gray").save(path)
    return str(path)


def painted(value: dict[str, object]) -> np.ndarray:
    (layer,) = value["layers"]  # type: ignore[misc]
    with Image.open(layer) as paint:
        return np.asarray(paint)[..., 3] > 0


@pytest.mark.parametrize("part", FACE_PARTS)
def test_a_part_of_a_face_is_painted_on_the_picture_that_is_open(photo: str, part: str) -> None:
    paint = painted(ready_made(part)(photo))
    assert 0 < paint.mean() < 1


def test_a_mask_file_is_paint(photo: str, tmp_path: Path) -> None:
    half = np.zeros((40, 60), np.uint8)
    half[:, :30] = 255
    Image.fromarray(half).save(tmp_path / "mask.png")
    paint = painted(masked(str(tmp_path / "mask.png"), photo))
    assert paint[:, : paint.shape[1] // 2].all()
    assert not paint[:, paint.shape[1] // 2 + 1 :].any()


def test_without_a_picture_there_is_nothing_to_paint_on(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="Open a picture first"):
        ready_made("eyes")(None)
    with pytest.raises(Problem, match="Open a picture first"):
        masked(str(tmp_path / "mask.png"), None)
