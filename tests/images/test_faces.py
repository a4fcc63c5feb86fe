"""Faces in photos: found, framed as the model knows them, and made anew there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm_core.commands import edit, inpaint
from ddpm_core.images.crop import Frame, center_crop
from ddpm_core.images.faces import LARGER, Box, center_box, find_faces
from ddpm_core.images.files import open_picture
from ddpm_core.images.masks import FACE_PARTS, face_mask
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import InpaintRequest

FACE = sorted((Path(__file__).resolve().parents[2] / "static" / "examples").glob("face-*.png"))[0]


def photo(*faces: Box, width: int = 700, height: int = 500) -> Image.Image:
    """A grey sheet with the example's face in each of the squares."""
    sheet = Image.new("RGB", (width, height), (128, 130, 125))
    for left, top, side in faces:
        sheet.paste(Image.open(FACE).convert("RGB").resize((side, side)), (left, top))
    return sheet


def box(painted: np.ndarray) -> tuple[int, ...]:
    rows, columns = np.flatnonzero(painted.any(1)), np.flatnonzero(painted.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


@pytest.fixture
def portraitist(tiny_model: LatentDiffusion, monkeypatch: pytest.MonkeyPatch) -> LatentDiffusion:
    """A model that knows faces."""
    monkeypatch.setattr(tiny_model, "framing", "face")
    return tiny_model


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


@pytest.mark.parametrize("side", [128, 500])
def test_a_picture_framed_like_the_training_pictures_is_taken_as_it_is(portraitist: LatentDiffusion, side: int) -> None:
    picture, small = photo(Box(0, 0, side), width=side, height=side), (portraitist.size,) * 2
    painted = face_mask("mouth", picture)
    frame = portraitist.frame(InpaintRequest(), picture, painted)
    assert frame.window == (0, 0, side)
    resized = picture.resize(small, Image.Resampling.LANCZOS)
    assert np.array_equal(np.asarray(portraitist.square(picture)), np.asarray(resized))


def test_beside_a_face_in_the_middle_a_smaller_one_is_found(portraitist: LatentDiffusion) -> None:
    central, small = Box(130, 20, 440), Box(10, 300, 110)
    picture, painted = photo(central, small), np.zeros((500, 700), dtype=bool)
    painted[370:380, 50:80] = True
    frame = portraitist.frame(InpaintRequest(), picture, painted)
    assert frame.window.like(small)
    assert np.array_equal(np.asarray(portraitist.square(picture)), np.asarray(center_crop(picture, portraitist.size)))


def test_a_painted_box_that_would_fill_the_window_is_made_in_the_whole_picture(portraitist: LatentDiffusion) -> None:
    picture, painted = photo(Box(430, 60, 200)), np.zeros((500, 700), dtype=bool)
    painted[55:270, 420:640] = True
    assert portraitist.frame(InpaintRequest(), picture, painted).side == 500


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


@pytest.mark.parametrize("name", ["face", "eyes", "mouth"])
def test_a_painted_face_is_shown_to_the_model_as_it_knows_faces(portraitist: LatentDiffusion, name: str) -> None:
    where = Box(430, 60, 200)
    picture = photo(where)
    frame = portraitist.frame(InpaintRequest(), picture, face_mask(name, picture))
    assert frame.window.like(where)
    size = frame.size
    shown, face = (
        np.asarray(one.convert("L").resize((size, size)), float)
        for one in (
            picture.crop((frame.left, frame.top, frame.left + frame.side, frame.top + frame.side)),
            Image.open(FACE),
        )
    )
    assert np.corrcoef(shown.ravel(), face.ravel())[0, 1] > 0.8
    pasted = np.asarray(frame.paste(Image.new("RGB", (size, size), (1, 200, 77))))
    assert np.array_equal(pasted[~frame.painted], np.asarray(picture)[~frame.painted])


def test_of_several_faces_the_painted_one_is_shown(portraitist: LatentDiffusion) -> None:
    small, large = Box(20, 40, 150), Box(380, 200, 260)
    painted = np.zeros((500, 700), dtype=bool)
    painted[120:150, 80:120] = True
    frame = portraitist.frame(InpaintRequest(), photo(small, large), painted)
    assert frame.window.like(small)


def test_what_is_painted_beside_a_face_or_far_beyond_it_is_made_in_the_whole_picture(
    portraitist: LatentDiffusion,
) -> None:
    picture = photo(Box(430, 60, 200))
    for left, top, right, bottom in ((20, 300, 90, 400), (300, 40, 650, 300)):
        painted = np.zeros((500, 700), dtype=bool)
        painted[top:bottom, left:right] = True
        frame = portraitist.frame(InpaintRequest(), picture, painted)
        assert frame == Frame.around(picture, frame.painted, portraitist.size)


def test_only_a_model_of_faces_asked_to_decide_looks_for_them(tiny_model: LatentDiffusion, monkeypatch) -> None:
    picture = photo(Box(430, 60, 200))
    painted = face_mask("mouth", picture)
    assert tiny_model.frame(InpaintRequest(), picture, painted).side == 500
    monkeypatch.setattr(tiny_model, "framing", "face")
    assert tiny_model.frame(InpaintRequest(crop="whole"), picture, painted).side == 500
    assert tiny_model.frame(InpaintRequest(), picture, painted).side < 250


def test_the_square_of_a_photo_is_its_face(portraitist: LatentDiffusion, monkeypatch) -> None:
    picture, size = photo(Box(430, 60, 200)), portraitist.size
    face = np.asarray(Image.open(FACE).convert("L").resize((size, size)), float)
    seen = portraitist.square(picture)
    assert (seen.size, seen.mode) == ((size, size), "RGB")
    assert np.corrcoef(np.asarray(seen.convert("L"), float).ravel(), face.ravel())[0, 1] > 0.8
    monkeypatch.setattr(portraitist, "framing", "any")
    assert np.ptp(np.asarray(portraitist.square(photo()))) < 10
    assert np.array_equal(
        np.asarray(portraitist.square(picture)), np.asarray(picture.resize((size, size), 1, (100, 0, 600, 500)))
    )


def test_a_face_at_the_border_is_shown_with_the_border_repeated(portraitist: LatentDiffusion) -> None:
    picture = photo(Box(-25, 100, 220))
    (found,) = find_faces(picture)
    assert found.left < 0
    assert portraitist.square(picture).size == (portraitist.size, portraitist.size)


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
