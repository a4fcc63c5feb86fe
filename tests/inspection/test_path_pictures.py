"""Paths and strengths as pictures."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from ddpm_core.inspection.path_pictures import SIDE, snakes_picture, strength_picture
from ddpm_core.inspection.paths import path_cells

WHITE = Image.new("RGB", (16, 16), "white")


def test_the_strongest_cell_is_the_darkest_and_the_chosen_one_framed() -> None:
    strength = torch.zeros(4, 4)
    strength[0, 3], strength[2, 1] = 1.0, 0.25
    drawn = np.asarray(strength_picture(WHITE, strength, 3, 0)).astype(int)
    assert drawn.shape == (SIDE, SIDE, 3)
    middles = drawn[SIDE // 8 :: SIDE // 4, SIDE // 8 :: SIDE // 4].sum(2)
    assert middles[0, 3] < middles[2, 1] < middles[0, 0] == middles[3, 0] == 3 * 255
    assert (drawn[SIDE * 3 // 4, : SIDE // 4] == 0).all()


def test_snakes_come_as_far_as_they_are_said_to() -> None:
    paths = path_cells(4, 4)
    begun, ended = (np.asarray(snakes_picture(WHITE, paths[:1], 4, fraction)) for fraction in (0.0, 1.0))
    first, end = paths[0][0], paths[0][-1]
    for drawn, cell in ((begun, first), (ended, end)):
        y, x = ((place * SIDE // 4) + SIDE // 8 for place in divmod(cell, 4))
        assert drawn[y, x].sum() < 3 * 255
    assert (begun[SIDE // 2 :] == 255).all()
