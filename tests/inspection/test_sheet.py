"""Pictures with labels: each in its cell, small ones in whole squares."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ddpm_core.inspection.sheet import GAP, fitted, labelled_sheet


def test_every_picture_has_its_cell_and_words_under_it() -> None:
    sheet = labelled_sheet([Image.new("RGB", (8, 8), c) for c in ("red", "blue", "lime")], ["a", "b\nb", ""], 2, 64)
    pixels = np.asarray(sheet)
    assert sheet.width == 2 * (64 + GAP) + GAP
    assert (pixels[GAP : GAP + 64, GAP : GAP + 64] == (255, 0, 0)).all()
    assert (pixels[GAP : GAP + 64, 2 * GAP + 64 : 2 * GAP + 128] == (0, 0, 255)).all()
    under = pixels[GAP + 64 : GAP + 64 + 16, GAP : GAP + 64]
    assert (under < 100).all(2).any()
    assert (
        labelled_sheet([Image.new("RGB", (8, 8))], ["a"], side=64, title="t").height
        > labelled_sheet([Image.new("RGB", (8, 8))], ["a"], side=64).height
    )
    with pytest.raises(ValueError, match="as many labels"):
        labelled_sheet([Image.new("RGB", (8, 8))], [])


def test_small_pictures_grow_by_whole_numbers_and_large_ones_shrink() -> None:
    assert fitted(Image.new("L", (20, 10)), 64).size == (60, 30)
    assert fitted(Image.new("RGB", (200, 100)), 64).size == (64, 32)
