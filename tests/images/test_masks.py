"""Regions of a picture: growing, shrinking, and the ready-made ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from ddpm_core.errors import UserError
from ddpm_core.images.faces import EYE_LINE, EYES_ACROSS, Box, center_box
from ddpm_core.images.files import PictureError
from ddpm_core.images.masks import (
    FACE_PARTS,
    MaskError,
    check_choice,
    dilate,
    inpainting_mask,
    open_mask,
    painted_on,
    resize_mask,
)
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import InpaintRequest

ROOT = Path(__file__).resolve().parents[2]
SIZES = [(128, 128), (640, 480), (200, 900), (7, 5)]


def dots(width: int, height: int, share: float = 0.01) -> np.ndarray:
    return np.random.default_rng(width + height).random((height, width)) < share


@pytest.mark.parametrize("by", [1, 2, 7, 30])
def test_growing_is_what_a_maximum_filter_does(by: int) -> None:
    region = dots(60, 45)
    sheet = Image.fromarray(np.pad(region, by).astype(np.uint8))  # Pillow is careless at the border
    expected = np.asarray(sheet.filter(ImageFilter.MaxFilter(2 * by + 1)))[by:-by, by:-by] > 0
    assert np.array_equal(dilate(region, by), expected)


@pytest.mark.parametrize("by", [-40, -3, -1, 0, 1, 3, 40])
def test_shrinking_is_growing_what_is_outside(by: int) -> None:
    region = dots(50, 40, 0.9)
    assert np.array_equal(dilate(region, by), ~dilate(~region, -by))


def test_a_region_keeps_its_middle_and_does_not_leave_the_border() -> None:
    region = np.zeros((20, 20), dtype=bool)
    region[:, :8] = True
    assert np.array_equal(dilate(region, 0), region)
    assert dilate(region, 3)[:, :11].all()
    assert not dilate(region, 3)[:, 11:].any()
    assert dilate(region, -3)[:, :5].all()
    assert not dilate(region, -3)[:, 5:].any()
    assert dilate(region, 300).all()
    assert not dilate(region, -300).any()


@pytest.mark.parametrize("extent", [1, 3, 10, 29, 30, 31, 47, 90])
def test_nothing_inside_is_lost_at_another_extent(extent: int) -> None:
    for at in range(30):
        mask = np.zeros((30, 2), dtype=bool)
        mask[at] = True
        inside = np.flatnonzero(resize_mask(mask, (2, extent))[:, 0])
        expected = [i for i in range(extent) if i * 30 < (at + 1) * extent and (i + 1) * 30 > at * extent]
        assert inside.tolist() == expected
        assert np.array_equal(resize_mask(mask.T, (extent, 2)), resize_mask(mask, (2, extent)).T)


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("name", FACE_PARTS)
def test_ready_made_masks_leave_something_to_keep_in_any_picture(name: str, width: int, height: int) -> None:
    region = FACE_PARTS[name](width, height, center_box(width, height))
    assert region.shape == (height, width)
    assert region.dtype == bool
    assert region.any()
    assert not region.all()
    assert np.array_equal(region, region[:, ::-1])


def test_ready_made_masks_lie_where_the_parts_of_a_face_do() -> None:
    face, eyes, mouth, background = (
        FACE_PARTS[name](500, 500, Box(0, 0, 500)) for name in ("face", "eyes", "mouth", "background")
    )
    for x in (188, 312):
        assert eyes[239, x]
    assert face[eyes | mouth].mean() > 0.9
    assert not (eyes & mouth).any()
    assert not (background & face).any()
    assert background[5, 5]
    wide = FACE_PARTS["face"](900, 600, Box(200, 50, 500))
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
            assert np.array_equal(frame.painted, dilate(anew, by))
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


@pytest.mark.parametrize("keep_painted", [False, True])
@pytest.mark.parametrize(
    ("painted", "sentence"),
    [
        (np.zeros((6, 8), dtype=bool), ("Nothing is painted .* made anew", "Nothing is painted .* to keep")),
        (np.ones((6, 8), dtype=bool), ("Everything is .* nothing to keep", "Everything is .* all is kept")),
        (np.eye(8, dtype=bool), ("mask is 8x8 pixels but the picture 8x6",) * 2),
    ],
    ids=["empty", "full", "of another size"],
)
def test_a_mask_nothing_can_be_done_with_is_refused_in_a_sentence(
    painted: np.ndarray, sentence: tuple[str, str], keep_painted: bool
) -> None:
    with pytest.raises(MaskError, match=sentence[keep_painted]) as caught:
        inpainting_mask(painted, (8, 6), keep_painted)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


# Files

STROKE = np.zeros((20, 30), bool)
STROKE[8:12, 10:20] = True


def painted(path: Path, picture: Image.Image, **options) -> np.ndarray:
    picture.save(path, **options)
    return open_mask(path, (30, 20))


def layer(inside: tuple[int, ...], rest: tuple[int, ...]) -> Image.Image:
    pixels = np.empty((20, 30, len(inside)), np.uint8)
    pixels[:], pixels[STROKE] = rest, inside
    return Image.fromarray(pixels)


LAYERS = {
    "black on clear black": ((0, 0, 0, 255), (0, 0, 0, 0)),
    "red on clear black": ((204, 50, 50, 255), (0, 0, 0, 0)),
    "white on clear white": ((255, 255, 255, 255), (255, 255, 255, 0)),
    "black on clear white": ((0, 0, 0, 255), (255, 255, 255, 0)),
    "half opaque": ((15, 118, 110, 127), (0, 0, 0, 0)),
    "soft": ((9, 9, 9, 255), (9, 9, 9, 100)),
    "white on opaque black": ((255, 255, 255, 255), (0, 0, 0, 255)),
    "white on black, all half clear": ((255, 255, 255, 128), (0, 0, 0, 128)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_paint_is_what_is_opaque_where_an_alpha_channel_says_something(tmp_path: Path, name: str) -> None:
    assert np.array_equal(painted(tmp_path / "x.png", layer(*LAYERS[name])), STROKE)


def test_grey_with_alpha_and_a_palette_with_a_clear_colour_are_layers_too(tmp_path: Path) -> None:
    assert np.array_equal(painted(tmp_path / "x.png", layer((0, 255), (255, 0))), STROKE)
    palette = Image.fromarray(STROKE.astype(np.uint8))
    palette.putpalette([255, 255, 255, 0, 0, 0])
    assert np.array_equal(painted(tmp_path / "y.png", palette, transparency=0), STROKE)


@pytest.mark.parametrize("top", [1, 2, 100, 128, 255])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_two_levels_are_a_mask_whatever_they_are(tmp_path: Path, dtype: type, top: int) -> None:
    picture = Image.fromarray((STROKE * top).astype(dtype))
    suffix = "tif" if dtype is np.float32 else "png"
    assert np.array_equal(painted(tmp_path / f"x.{suffix}", picture), STROKE)


def test_a_mask_of_16_bits_or_of_floats_to_1_is_light_above_the_middle(tmp_path: Path) -> None:
    soft = np.where(STROKE, 0.8, 0.2) + np.linspace(-0.1, 0.1, 30)
    assert np.array_equal(painted(tmp_path / "x.tif", Image.fromarray(soft.astype(np.float32))), STROKE)
    assert np.array_equal(painted(tmp_path / "x.png", Image.fromarray((soft * 65535).astype(np.uint16))), STROKE)
    assert np.array_equal(painted(tmp_path / "y.png", Image.fromarray((soft * 255).astype(np.uint8))), STROKE)


def test_bright_colours_on_black_are_paint(tmp_path: Path) -> None:
    for colour in ((204, 50, 50), (0, 0, 255), (128, 0, 0)):
        assert np.array_equal(painted(tmp_path / "x.png", layer(colour, (0, 0, 0))), STROKE)


@pytest.mark.parametrize("colours", [[0, 0, 0, 128, 0, 0], [0, 0, 0, 1, 1, 1], [255, 255, 255, 0, 0, 0]])
def test_a_palette_of_two_colours_is_a_mask(tmp_path: Path, colours: list[int]) -> None:
    light = colours[3] > colours[0]
    palette = Image.fromarray((light == STROKE).astype(np.uint8))
    palette.putpalette(colours)
    assert np.array_equal(painted(tmp_path / "x.png", palette), STROKE)


def test_a_soft_mask_reduced_to_a_palette_of_greys_is_a_mask(tmp_path: Path) -> None:
    palette = Image.fromarray(np.where(STROKE, 3, np.arange(30) % 2).astype(np.uint8))
    palette.putpalette([0, 0, 0, 80, 80, 80, 160, 160, 160, 255, 255, 255])
    assert np.array_equal(painted(tmp_path / "x.png", palette), STROKE)


def labels(values: int) -> np.ndarray:
    return (np.arange(600).reshape(20, 30) % values).astype(np.uint8)


def test_a_map_of_labels_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(MaskError, match=r"dark everywhere, with 5 levels from 0 to 4 of 255; make it black and white"):
        painted(tmp_path / "x.png", Image.fromarray(labels(5)))
    coloured = Image.fromarray(labels(3))
    coloured.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    with pytest.raises(MaskError, match="a map of 3 colours; make it black and white"):
        painted(tmp_path / "y.png", coloured)
    with pytest.raises(MaskError, match="transparent everywhere"):
        painted(tmp_path / "z.png", Image.new("RGBA", (30, 20), (255, 255, 255, 0)))


def test_a_mask_that_is_no_picture_or_of_another_shape_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"no picture")
    with pytest.raises(PictureError, match="not a picture"):
        open_mask(tmp_path / "x.png", (30, 20))
    Image.new("L", (20, 30)).save(tmp_path / "y.png")
    with pytest.raises(MaskError, match="20x30 pixels, another shape than the picture's 30x20"):
        open_mask(tmp_path / "y.png", (30, 20))


# What commands are told


@pytest.mark.parametrize("both", [(None, None), (Path("mask.png"), "eyes")])
def test_what_is_painted_is_said_once(both: tuple[Path | None, str | None]) -> None:
    with pytest.raises(UserError, match=r"either --mask FILE or --region NAME"):
        check_choice(*both)
    check_choice(Path("mask.png"), None)
    check_choice(None, "eyes")


def test_an_unknown_region_is_refused_with_those_there_are() -> None:
    with pytest.raises(UserError, match=r"no ready-made mask 'elbow'; choose from: ") as told:
        check_choice(None, "elbow")
    assert all(name in str(told.value) for name in FACE_PARTS)


def test_a_file_says_what_is_painted_by_its_light_pixels(tmp_path: Path) -> None:
    drawn = np.zeros((20, 30), np.uint8)
    drawn[5:9, 3:12] = 255
    Image.fromarray(drawn).save(tmp_path / "mask.png")
    picture = Image.new("RGB", (30, 20))
    assert (painted_on(picture, tmp_path / "mask.png", None) == (drawn > 0)).all()
    with pytest.raises(MaskError, match="another shape"):
        painted_on(Image.new("RGB", (30, 60)), tmp_path / "mask.png", None)


def test_regions_are_parts_of_the_picture_and_eyes_lie_in_the_face() -> None:
    picture = Image.new("RGB", (64, 48))
    eyes, face = (painted_on(picture, None, region) for region in ("eyes", "face"))
    assert eyes.shape == face.shape == (48, 64)
    assert 0 < eyes.sum() < face.sum() < face.size


# One owner each


def naming(*words: str) -> set[str]:
    """Modules whose text has any of these words."""
    files = (file for package in ("ddpm_core", "ui") for file in (ROOT / package).rglob("*.py"))
    return {file.name for file in files if any(word in file.read_text(encoding="utf-8") for word in words)}


def test_one_module_says_which_masks_nothing_can_be_done_with() -> None:
    assert naming("raise MaskError(") == {"masks.py"}


def test_one_module_says_where_a_face_has_its_eyes_and_their_mask_lies_there() -> None:
    assert naming(str(EYE_LINE), *map(str, EYES_ACROSS)) == {"faces.py"}
    eyes = FACE_PARTS["eyes"](1000, 1000, Box(0, 0, 1000))
    rows, columns = np.flatnonzero(eyes.any(1)), np.flatnonzero(eyes.any(0))
    assert abs(rows.mean() - 1000 * EYE_LINE) < 1
    assert abs(columns.mean() - 1000 * np.mean(EYES_ACROSS)) < 1
    assert all(eyes[round(1000 * EYE_LINE), round(1000 * across)] for across in EYES_ACROSS)
