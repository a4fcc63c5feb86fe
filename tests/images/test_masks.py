"""Regions of a picture: growing, shrinking, and the ready-made ones."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from ddpm_core.images.faces import Square, middle_square
from ddpm_core.images.masks import READY, MaskError, any_inside, grown
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import InpaintRequest

SIZES = [(128, 128), (640, 480), (200, 900), (7, 5)]


def dots(width: int, height: int, share: float = 0.01) -> np.ndarray:
    return np.random.default_rng(width + height).random((height, width)) < share


@pytest.mark.parametrize("by", [1, 2, 7, 30])
def test_growing_is_what_a_maximum_filter_does(by: int) -> None:
    region = dots(60, 45)
    sheet = Image.fromarray(np.pad(region, by).astype(np.uint8))  # Pillow is careless at the border
    expected = np.asarray(sheet.filter(ImageFilter.MaxFilter(2 * by + 1)))[by:-by, by:-by] > 0
    assert np.array_equal(grown(region, by), expected)


@pytest.mark.parametrize("by", [-40, -3, -1, 0, 1, 3, 40])
def test_shrinking_is_growing_what_is_outside(by: int) -> None:
    region = dots(50, 40, 0.9)
    assert np.array_equal(grown(region, by), ~grown(~region, -by))


def test_a_region_keeps_its_middle_and_does_not_leave_the_border() -> None:
    region = np.zeros((20, 20), dtype=bool)
    region[:, :8] = True
    assert np.array_equal(grown(region, 0), region)
    assert grown(region, 3)[:, :11].all()
    assert not grown(region, 3)[:, 11:].any()
    assert grown(region, -3)[:, :5].all()
    assert not grown(region, -3)[:, 5:].any()
    assert grown(region, 300).all()
    assert not grown(region, -300).any()


@pytest.mark.parametrize("extent", [1, 3, 10, 29, 30])
def test_nothing_inside_is_lost_at_another_extent(extent: int) -> None:
    for at in range(30):
        region = np.zeros((30, 2), dtype=bool)
        region[at] = True
        inside = np.flatnonzero(any_inside(region, extent, 0)[:, 0])
        expected = [i for i in range(extent) if i * 30 < (at + 1) * extent and (i + 1) * 30 > at * extent]
        assert inside.tolist() == expected


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("name", READY)
def test_ready_made_regions_leave_something_to_keep_in_any_picture(name: str, width: int, height: int) -> None:
    region = READY[name](width, height, middle_square(width, height))
    assert region.shape == (height, width)
    assert region.dtype == bool
    assert region.any()
    assert not region.all()
    assert np.array_equal(region, region[:, ::-1])


def test_ready_made_regions_lie_where_the_parts_of_a_face_do() -> None:
    face, eyes, mouth, background = (
        READY[name](500, 500, Square(0, 0, 500)) for name in ("face", "eyes", "mouth", "background")
    )
    for x in (188, 312):
        assert eyes[239, x]
    assert face[eyes | mouth].mean() > 0.9
    assert not (eyes & mouth).any()
    assert not (background & face).any()
    assert background[5, 5]
    wide = READY["face"](900, 600, Square(200, 50, 500))
    assert np.array_equal(wide[50:550, 200:700], face)
    assert not wide[:, :200].any()


def test_growing_and_shrinking_mean_what_is_made_anew(tiny_model: LatentDiffusion) -> None:
    picture, painted = Image.new("RGB", (60, 40)), np.zeros((40, 60), dtype=bool)
    painted[10:20, 10:20] = True
    for keep_painted in (False, True):
        anew = ~painted if keep_painted else painted
        for by in (-3, 0, 3):
            request = InpaintRequest(keep_painted=keep_painted, grow=by, feather=4, crop="painted")
            frame = tiny_model.frame(request, picture, painted)
            assert np.array_equal(frame.painted, grown(anew, by))
            assert frame.feather == 4
    assert tiny_model.frame(InpaintRequest(crop="painted"), picture, painted).side < 40
    assert tiny_model.frame(InpaintRequest(), picture, painted).side == 40


@pytest.mark.parametrize(("by", "sentence"), [(-5, "narrow it less"), (50, "widen it less")])
def test_growing_to_everything_or_shrinking_to_nothing_is_refused(
    tiny_model: LatentDiffusion, by: int, sentence: str
) -> None:
    painted = np.zeros((40, 60), dtype=bool)
    painted[10:20, 10:20] = True
    with pytest.raises(MaskError, match=sentence):
        tiny_model.frame(InpaintRequest(grow=by), Image.new("RGB", (60, 40)), painted)
