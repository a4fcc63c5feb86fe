"""Uploads of any shape: kept pixels stay as they are, painted ones come from the model's square."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_core.images import crop as crops
from ddpm_core.images.crop import CONTEXT, Crop, Frame, center_crop
from ddpm_core.images.files import to_tensor

SIZE = 32
UPLOADS = [(32, 32), (2, 2), (2, 1), (1, 9), (7, 5), (31, 33), (40, 300), (257, 41), (640, 480), (1001, 777)]
SHAPES = ["box", "dots", "all but a dot", "one pixel", "far corners"]


@pytest.fixture(autouse=True)
def unblended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pixels go is the matter here; how they are joined is that of test_blending."""

    def cut(picture: Image.Image, fill: Image.Image, painted: np.ndarray, feather: int = 0) -> Image.Image:
        return Image.fromarray(np.where(painted[:, :, None], np.asarray(fill), np.asarray(picture)))

    monkeypatch.setattr(crops, "blend", cut)


def upload(width: int, height: int, mode: str = "RGB") -> Image.Image:
    draw = np.random.default_rng(width * 1000 + height)
    return Image.fromarray(draw.integers(0, 256, (height, width, len(mode)), dtype=np.uint8))


def mask(width: int, height: int, shape: str) -> np.ndarray:
    draw = np.random.default_rng(7 * width + height)
    painted = np.zeros((height, width), dtype=bool)
    y, x = int(draw.integers(height)), int(draw.integers(width))
    if shape == "box":
        painted[y : y + 1 + height // 3, x : x + 1 + width // 3] = True
    elif shape == "dots":
        painted = draw.random((height, width)) < 0.3
    elif shape == "all but a dot":
        painted[:] = True
    elif shape == "far corners":
        painted[0, 0] = painted[-1, -1] = True
    painted[0, 0] = True
    painted[height - 1 if height > 1 else 0, 0 if height > 1 else width - 1] = shape == "far corners"
    if shape == "one pixel":
        painted[:] = False
        painted[y, x] = True
    return painted


def under(pixel: int, start: int, side: int, extent: int) -> slice:
    """The upload's pixels that a pixel of the model's square lies on, wholly or in part, along one axis."""
    first, end = start + pixel * side // SIZE, start - (-(pixel + 1) * side // SIZE)
    return slice(min(max(first, 0), extent), min(max(end, 0), extent))


def cases() -> list[tuple[int, int, str]]:
    every = [(width, height, shape) for width, height in UPLOADS for shape in SHAPES]
    return [case for case in every if not mask(*case).all()]


@pytest.mark.parametrize(("width", "height", "shape"), cases())
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_kept_pixels_are_untouched_and_painted_ones_come_from_what_was_made(
    width: int, height: int, shape: str, mode: str
) -> None:
    picture, painted = upload(width, height, mode), mask(width, height, shape)
    frame = Frame.around(picture, painted, SIZE)
    pasted = frame.paste(Image.new("RGB", (SIZE, SIZE), (1, 200, 77)))
    assert pasted.size == picture.size
    assert pasted.mode == picture.mode
    assert np.array_equal(np.asarray(pasted)[~painted], np.asarray(picture)[~painted])
    assert (np.asarray(pasted)[painted] == np.array([1, 200, 77, 255])[: len(mode)]).all()


@pytest.mark.parametrize(("width", "height", "shape"), cases())
def test_the_window_is_a_square_that_holds_all_that_is_painted(width: int, height: int, shape: str) -> None:
    painted = mask(width, height, shape)
    frame = Frame.around(upload(width, height), painted, SIZE)
    rows, columns = np.nonzero(painted)
    assert frame.top <= rows.min()
    assert rows.max() < frame.top + frame.side
    assert frame.left <= columns.min()
    assert columns.max() < frame.left + frame.side
    assert frame.side >= min(width, height)


@pytest.mark.parametrize(("width", "height", "shape"), cases())
def test_the_model_sees_a_square_and_no_painted_pixel_counts_as_kept(width: int, height: int, shape: str) -> None:
    painted = mask(width, height, shape)
    frame = Frame.around(upload(width, height), painted, SIZE)
    image, anew = frame.image(), frame.mask()
    assert image.shape == (1, 3, SIZE, SIZE)
    assert image.abs().max() <= 1
    assert anew.shape == (1, 1, SIZE, SIZE)
    assert anew.dtype == torch.bool
    rows = [under(pixel, frame.top, frame.side, height) for pixel in range(SIZE)]
    columns = [under(pixel, frame.left, frame.side, width) for pixel in range(SIZE)]
    for y, x in (~anew[0, 0]).nonzero().tolist():
        assert not painted[rows[y], columns[x]].any()


def test_far_from_the_paint_nothing_is_made_anew() -> None:
    painted = np.zeros((100, 100), dtype=bool)
    painted[40:60, 40:60] = True
    anew = Frame.around(upload(100, 100), painted, SIZE).mask()[0, 0]
    assert not anew[:12].any()
    assert not anew[20:].any()
    assert not anew[:, :12].any()
    assert not anew[:, 20:].any()
    assert anew[13:19, 13:19].all()


@pytest.mark.parametrize(("width", "height"), [(32, 32), (32, 90), (90, 32)])
def test_a_window_of_the_models_own_size_goes_there_and_back_without_a_change(width: int, height: int) -> None:
    picture, painted = upload(width, height), np.zeros((height, width), dtype=bool)
    painted[height // 2 : height // 2 + 9, width // 2 : width // 2 + 9] = True
    frame = Frame.around(picture, painted, SIZE)
    assert frame.side == SIZE
    seen = Image.fromarray(((frame.image()[0] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy())
    assert np.array_equal(np.asarray(frame.paste(seen)), np.asarray(picture))


def test_the_window_follows_the_paint_along_a_long_picture() -> None:
    for start in (0, 100, 250):
        painted = np.zeros((40, 300), dtype=bool)
        painted[10:20, start : start + 20] = True
        frame = Frame.around(upload(300, 40), painted, SIZE)
        assert (frame.top, frame.side) == (0, 40)
        assert frame.left == min(max(start + 10 - 20, 0), 260)


def test_beyond_the_upload_the_model_sees_its_border_repeated() -> None:
    picture = Image.new("RGB", (96, 32), (200, 10, 10))
    painted = np.zeros((32, 96), dtype=bool)
    painted[5, 0] = painted[5, 95] = True
    frame = Frame.around(picture, painted, SIZE)
    assert (frame.side, frame.top) == (96, -32)
    expected = to_tensor(Image.new("RGB", (SIZE, SIZE), (200, 10, 10)))
    assert torch.equal(frame.image(), expected)


def test_transparency_is_laid_on_white_for_the_model_and_kept_for_the_result() -> None:
    picture = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    painted = np.zeros((40, 40), dtype=bool)
    painted[:5] = True
    frame = Frame.around(picture, painted, SIZE)
    assert (frame.image() == 1).all()
    pasted = np.asarray(frame.paste(Image.new("RGB", (SIZE, SIZE), "red")))
    assert (pasted[5:] == 0).all()
    assert (pasted[:5] == (255, 0, 0, 255)).all()


def test_a_frame_within_the_limit_is_not_reduced() -> None:
    frame = Frame.around(upload(60, 40), mask(60, 40, "box"), SIZE)
    assert frame.reduced(60) is frame


@pytest.mark.parametrize("limit", [50, 64, 101])
@pytest.mark.parametrize(("width", "height"), [(1001, 777), (333, 1000), (640, 480), (103, 102), (1500, 200)])
def test_a_reduced_frame_shows_the_same_scene_within_the_limit(width: int, height: int, limit: int) -> None:
    painted = np.zeros((height, width), dtype=bool)
    painted[: height // 2, width // 2 :] = True
    small = Frame.around(upload(width, height), painted, SIZE).reduced(limit)
    factor = limit / max(width, height)
    assert small.picture.size == tuple(max(1, round(n * factor)) for n in (width, height))
    assert small.painted.shape == small.picture.size[::-1]
    pasted = np.asarray(small.paste(Image.new("RGB", (SIZE, SIZE), (1, 200, 77))))
    assert np.array_equal(pasted[~small.painted], np.asarray(small.picture)[~small.painted])
    rows, columns = np.arange(small.picture.height), np.arange(small.picture.width)
    inside = painted[((rows + 0.5) * height / len(rows)).astype(int)][
        :, ((columns + 0.5) * width / len(columns)).astype(int)
    ]
    assert (inside != small.painted).mean() < 0.1
    assert (pasted[small.painted] == (1, 200, 77)).all(1).mean() > 0.9


@pytest.mark.parametrize(
    ("width", "height", "limit", "columns", "rows"),
    [
        (39, 7, 21, (16, 30), (0, 5)),
        (267, 387, 339, (31, 267), (5, 335)),
        (347, 105, 237, (110, 279), (0, 38)),
        (640, 480, 333, (600, 640), (440, 480)),
    ],
)
def test_a_reduced_frame_shows_the_upload_or_what_was_made_and_nothing_else(
    width: int, height: int, limit: int, columns: tuple[int, int], rows: tuple[int, int]
) -> None:
    painted = np.zeros((height, width), dtype=bool)
    painted[slice(*rows), slice(*columns)] = True
    small = Frame.around(Image.new("RGB", (width, height), (250, 250, 250)), painted, SIZE).reduced(limit)
    pasted = small.paste(Image.new("RGB", (SIZE, SIZE), (1, 200, 77)))
    assert {colour for _, colour in pasted.getcolors()} == {(250, 250, 250), (1, 200, 77)}


@pytest.mark.parametrize("at", [0, 333, 999])
def test_a_stroke_thinner_than_a_pixel_of_the_reduced_copy_is_still_seen(at: int) -> None:
    painted = np.zeros((1000, 1500), dtype=bool)
    painted[at] = True
    small = Frame.around(Image.new("RGB", (1500, 1000)), painted, SIZE).reduced(100)
    assert small.painted.any(1).sum() == 1
    assert small.painted[at * small.painted.shape[0] // 1000].all()
    pasted = np.asarray(small.paste(Image.new("RGB", (SIZE, SIZE), (1, 200, 77))))
    assert (pasted[small.painted] == (1, 200, 77)).all()


def test_a_pixel_of_the_reduced_copy_is_painted_if_any_fraction_of_it_is() -> None:
    painted = np.zeros((30, 30), dtype=bool)
    painted[10, 10] = True  # lies on pixels 6 and 7 of a copy of 20
    small = Frame.around(Image.new("RGB", (30, 30)), painted, SIZE).reduced(20)
    assert np.argwhere(small.painted).tolist() == [[6, 6], [6, 7], [7, 6], [7, 7]]


def cropped(width: int, height: int, box: tuple[int, int, int, int], crop: Crop = "painted") -> Frame:
    left, top, right, bottom = box
    painted = np.zeros((height, width), dtype=bool)
    painted[top:bottom, left:right] = True
    return Frame.around(Image.new("RGB", (width, height)), painted, SIZE, crop)


def test_a_window_around_what_is_painted_has_context_on_all_sides() -> None:
    frame = cropped(1000, 800, (500, 300, 600, 360))
    assert frame.side == CONTEXT * 100
    assert (frame.left, frame.top) == (450, 230)


@pytest.mark.parametrize(
    ("width", "height", "box", "side"),
    [
        (1000, 800, (500, 300, 504, 305), SIZE),  # no finer than the model can paint
        (1000, 800, (100, 100, 700, 300), 800),  # no larger than the window of the whole
        (20, 25, (3, 3, 5, 5), 20),  # nor if the upload is smaller than the model's square
        (400, 50, (0, 10, 300, 20), 300),
    ],
)
def test_a_window_around_what_is_painted_is_no_smaller_than_the_model_and_no_larger_than_usual(
    width: int, height: int, box: tuple[int, int, int, int], side: int
) -> None:
    frame = cropped(width, height, box)
    assert frame.side == side
    assert frame.side <= cropped(width, height, box, "whole").side


@pytest.mark.parametrize("box", [(0, 0, 40, 40), (960, 760, 1000, 800), (0, 700, 30, 800), (970, 0, 1000, 10)])
def test_a_window_around_what_is_painted_stays_in_the_upload(box: tuple[int, int, int, int]) -> None:
    frame = cropped(1000, 800, box)
    assert 0 <= frame.left <= box[0]
    assert 0 <= frame.top <= box[1]
    assert box[2] <= frame.left + frame.side <= 1000
    assert box[3] <= frame.top + frame.side <= 800
    assert frame.side < 800


def test_a_cropped_window_keeps_all_other_pixels_and_shows_the_model_more_detail() -> None:
    picture, painted = upload(640, 480), np.zeros((480, 640), dtype=bool)
    painted[200:216, 300:316] = True
    frame = Frame.around(picture, painted, SIZE, "painted")
    assert frame.side == SIZE
    assert torch.equal(frame.image(), to_tensor(picture.crop((frame.left, frame.top, frame.left + 32, frame.top + 32))))
    pasted = np.asarray(frame.paste(Image.new("RGB", (SIZE, SIZE), (1, 200, 77))))
    assert np.array_equal(pasted[~painted], np.asarray(picture)[~painted])
    assert (pasted[painted] == (1, 200, 77)).all()


def test_the_feather_is_measured_in_the_uploads_pixels() -> None:
    picture, painted = upload(640, 480), mask(640, 480, "box")
    frame = Frame.around(picture, painted, SIZE, feather=12)
    assert (frame.feather, frame.reduced(320).feather, frame.reduced(1000).feather) == (12, 6, 12)
    assert Frame.around(picture, painted, SIZE).feather == 0


@pytest.mark.parametrize(("width", "height"), UPLOADS)
def test_the_middle_square_is_as_large_as_an_upload_allows(width: int, height: int) -> None:
    square = center_crop(upload(width, height, "RGBA"), SIZE)
    assert (square.size, square.mode) == ((SIZE, SIZE), "RGB")
    # Of a ramp along the longer side, it shows the middle, from one edge of the square to the other.
    longer, side = max(width, height), min(width, height)
    ramp = np.broadcast_to(np.linspace(0, 255, longer).round().astype(np.uint8), (side, longer))
    picture = Image.fromarray(ramp if width >= height else ramp.T.copy()).convert("RGB")
    shown = np.asarray(center_crop(picture, SIZE), dtype=float)[:, :, 0].mean(0 if width >= height else 1)
    around = ramp[0, (longer - side) // 2 : (longer + side + 1) // 2].astype(float)
    assert shown.mean() == pytest.approx(around.mean(), abs=2)
    if side > SIZE:  # what is enlarged takes in a little beyond its edge
        assert np.ptp(shown) == pytest.approx(np.ptp(around), abs=0.03 * 255)
