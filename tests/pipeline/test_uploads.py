"""What a model sees of an upload."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ddpm_core.images.crop import Frame, center_crop
from ddpm_core.images.faces import Box, find_faces
from ddpm_core.images.masks import face_mask
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import InpaintRequest
from tests.face_photos import FACE, photo


@pytest.fixture
def portraitist(tiny_model: LatentDiffusion, monkeypatch: pytest.MonkeyPatch) -> LatentDiffusion:
    """A model that knows faces."""
    monkeypatch.setattr(tiny_model, "framing", "face")
    return tiny_model


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
