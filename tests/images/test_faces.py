"""Faces in photos: found, framed as the model knows them, and made anew there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm_core.commands import edit, inpaint
from ddpm_core.images.faces import LARGER, Box, center_box, find_faces
from ddpm_core.images.files import open_picture
from ddpm_core.images.masks import FACE_PARTS, face_mask
from tests.face_photos import photo


def box(painted: np.ndarray) -> tuple[int, ...]:
    rows, columns = np.flatnonzero(painted.any(1)), np.flatnonzero(painted.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


@pytest.mark.parametrize("where", [Box(40, 30, 160), Box(500, 300, 190), Box(300, 10, 220)])
@pytest.mark.parametrize("factor", [1, 4])
def test_a_face_is_framed_as_in_the_training_pictures(where: Box, factor: int) -> None:
    picture = photo(where)
    large = picture.resize((picture.width * factor, picture.height * factor))
    (found,) = find_faces(large)
    assert found.like(where.scaled(factor))


def test_the_largest_face_comes_first() -> None:
    small, large = Box(20, 40, 150), Box(380, 200, 260)
    first, second = find_faces(photo(small, large))
    assert first.like(large)
    assert second.like(small)


def test_where_there_is_no_face_there_is_no_square() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3)).astype(np.uint8)
    for picture in (photo(), Image.fromarray(noise), Image.new("RGBA", (3, 900)), Image.new("RGB", (1, 1))):
        assert find_faces(picture) == []


def test_colours_under_transparency_are_not_searched() -> None:
    hidden = photo(Box(430, 60, 200))
    hidden.putalpha(0)
    assert find_faces(hidden) == []


def test_squares_are_alike_up_to_a_tenth_off_and_a_quarter_larger() -> None:
    square = Box(100, 200, 100)
    for other in (square, Box(109, 191, 100), Box(90, 190, 120), Box(108, 208, 84)):
        assert square.like(other)
        assert other.like(square)
    for other in (Box(112, 200, 100), Box(100, 188, 100), Box(85, 185, 130), Box(112, 212, 76)):
        assert not square.like(other)


def test_a_square_is_widened_to_hold_a_box_but_not_by_much() -> None:
    square = Box(100, 100, 100)
    assert square.around(120, 110, 190, 200) == square
    assert square.around(90, 110, 190, 200) == Box(90, 100, 110)
    assert square.around(120, 110, 220, 215) == Box(100, 100, 120)
    assert square.around(100, 100, 100 + int(100 * LARGER), 200) is None
    assert square.around(0, 0, 20, 20) is None


@pytest.mark.parametrize("name", FACE_PARTS)
def test_a_ready_made_region_lies_on_the_face_that_is_found(name: str) -> None:
    where = Box(430, 60, 200)
    picture = photo(where)
    region, expected = face_mask(name, picture), FACE_PARTS[name](*picture.size, where)
    assert region.shape == (500, 700)
    assert (region & expected).sum() > 0.5 * (region | expected).sum()  # a mouth is small, and the box not so exact
    half = face_mask(name, picture, (350, 250))
    assert half.shape == (250, 350)
    assert (half == region[::2, ::2]).mean() > 0.98
    without = photo()
    assert np.array_equal(face_mask(name, without), FACE_PARTS[name](700, 500, center_box(700, 500)))


def test_the_shipped_faces_frame_faces_from_the_shell(call, tmp_path: Path) -> None:
    where = Box(430, 60, 200)
    path, few = tmp_path / "photo.png", ["--steps", 1]
    photo(where).save(path)
    assert call(inpaint.main, path, "--region", "mouth", "--out", tmp_path / "filled", *few).status == 0
    before, after = (np.asarray(open_picture(one).convert("RGB"), int) for one in (path, tmp_path / "filled" / "0.png"))
    changed = (before != after).any(2)
    mouth = FACE_PARTS["mouth"](700, 500, where)
    assert changed.any()
    assert (changed & mouth).sum() > 0.7 * changed.sum()
    assert call(edit.main, path, "--strength", 0.1, "--out", tmp_path / "edited.png").status == 0
    edited = Image.open(tmp_path / "edited.png").convert("L")
    (found,) = find_faces(photo(where))  # a little larger or smaller than `where`, by the face
    framed = photo(where).crop((found.left, found.top, found.left + found.side, found.top + found.side)).convert("L")
    both = (np.asarray(one, float).ravel() for one in (edited, framed.resize(edited.size)))
    assert np.corrcoef(*both)[0, 1] > 0.9
