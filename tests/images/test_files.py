"""Pictures in and out."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ddpm_core.images.files import (
    PARAMETERS,
    PictureError,
    as_picture,
    as_rgb,
    contact_sheet,
    open_picture,
    read_parameters,
    save_png,
    to_bytes,
    to_pictures,
    to_tensor,
    transformed,
)

Image.init()
FORMS = sorted({"PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"} & set(Image.SAVE))  # AVIF: newer Pillows only


def grain(width: int = 12, height: int = 8, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def reopened(picture: Image.Image, path: Path, **options) -> Image.Image:
    picture.save(path, **options)
    return open_picture(path)


def test_an_rgb_picture_comes_back_as_it_is(tmp_path: Path) -> None:
    pixels = grain()
    opened = reopened(Image.fromarray(pixels), tmp_path / "x.png")
    assert opened.mode == "RGB"
    assert np.array_equal(np.asarray(opened), pixels)


def test_transparency_is_kept_on_opening_and_laid_on_white_as_rgb(tmp_path: Path) -> None:
    pixels = grain(channels=4)
    pixels[:4, :, 3], pixels[4:, :, 3] = 0, 255
    opened = reopened(Image.fromarray(pixels), tmp_path / "x.png")
    assert opened.mode == "RGBA"
    assert np.array_equal(np.asarray(opened), pixels)
    flat = np.asarray(as_rgb(opened))
    assert (flat[:4] == 255).all()
    assert np.array_equal(flat[4:], pixels[4:, :, :3])


def test_half_transparent_black_on_white_is_grey() -> None:
    flat = np.asarray(as_rgb(Image.new("RGBA", (2, 2), (0, 0, 0, 128))))
    assert (abs(flat.astype(int) - 127) <= 1).all()


def test_a_palette_with_a_transparent_colour_becomes_rgba(tmp_path: Path) -> None:
    picture = Image.new("P", (4, 2), 0)
    picture.putpalette([255, 0, 0, 0, 255, 0])
    picture.paste(1, (0, 0, 2, 2))
    opened = reopened(picture, tmp_path / "x.png", transparency=1)
    assert opened.mode == "RGBA"
    assert opened.getpixel((0, 0)) == (0, 255, 0, 0)
    assert opened.getpixel((3, 0)) == (255, 0, 0, 255)


def test_a_palette_without_transparency_becomes_rgb(tmp_path: Path) -> None:
    picture = Image.new("P", (2, 2), 1)
    picture.putpalette([0, 0, 0, 9, 8, 7])
    opened = reopened(picture, tmp_path / "x.png")
    assert (opened.mode, opened.getpixel((1, 1))) == ("RGB", (9, 8, 7))


def test_a_transparent_colour_of_an_rgb_png_becomes_rgba(tmp_path: Path) -> None:
    opened = reopened(Image.new("RGB", (2, 2), (1, 2, 3)), tmp_path / "x.png", transparency=(1, 2, 3))
    assert opened.mode == "RGBA"
    assert opened.getpixel((0, 0))[3] == 0


def test_one_bit_pictures_become_black_and_white(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[True, False], [False, True]]))
    opened = reopened(picture, tmp_path / "x.png")
    assert opened.mode == "RGB"
    assert np.asarray(opened)[:, :, 0].tolist() == [[255, 0], [0, 255]]


def test_grey_pictures_have_equal_channels(tmp_path: Path) -> None:
    grey = grain(channels=1)[:, :, 0]
    opened = np.asarray(reopened(Image.fromarray(grey), tmp_path / "x.png"))
    assert np.array_equal(opened, np.stack([grey] * 3, axis=2))


def test_grey_with_transparency_becomes_rgba(tmp_path: Path) -> None:
    opened = reopened(Image.new("LA", (2, 2), (80, 7)), tmp_path / "x.png")
    assert (opened.mode, opened.getpixel((0, 0))) == ("RGBA", (80, 80, 80, 7))


def test_cmyk_pictures_become_rgb(tmp_path: Path) -> None:
    opened = reopened(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), tmp_path / "x.jpg", quality=95)
    assert opened.mode == "RGB"
    red, green, blue = opened.getpixel((8, 8))
    assert red < 30
    assert min(green, blue) > 200


def test_16_bit_pictures_are_scaled_not_clipped(tmp_path: Path) -> None:
    levels = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    opened = reopened(Image.fromarray(levels), tmp_path / "x.png")
    assert opened.mode == "RGB"
    assert np.asarray(opened)[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize("peak", [1.0, 255.0, 65535.0])
def test_float_pictures_are_scaled_by_the_range_they_use(peak: float) -> None:
    picture = Image.fromarray(np.array([[0, peak / 5, peak]], dtype=np.float32))
    assert np.asarray(as_picture(picture))[0, :, 0].tolist() == [0, 51, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_turned_by_exif_are_turned_upright(tmp_path: Path, orientation: int) -> None:
    upright = Image.new("RGB", (48, 32), "black")
    upright.paste((255, 255, 255), (0, 0, 16, 16))  # the light stands at the top left
    undo = {  # what a camera held that way stores
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    stored = upright
    for turn in undo.get(orientation, []):
        stored = stored.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    opened = reopened(stored, tmp_path / "x.jpg", exif=exif, quality=95)
    assert opened.size == (48, 32)
    difference = np.asarray(opened).astype(int) - np.asarray(upright).astype(int)
    assert abs(difference).mean() < 4


def png_bytes() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(grain(64, 64)).save(stream, format="PNG")
    return stream.getvalue()


BROKEN = {
    "text.png": b"This is no picture.",
    "empty.jpg": b"",
    "half.png": png_bytes()[:3000],
    "head.png": png_bytes()[:20],
    "svg.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "zip.png": b"PK\x03\x04" + bytes(100),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_is_no_whole_picture_is_refused_in_a_sentence_that_names_it(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(BROKEN[name])
    with pytest.raises(PictureError, match=f"^{name} is not a picture that can be read") as caught:
        open_picture(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's own remarks
@pytest.mark.parametrize("form", FORMS)
def test_a_file_damaged_anywhere_is_opened_or_refused_but_raises_nothing_else(tmp_path: Path, form: str) -> None:
    stream, draw, refused = io.BytesIO(), np.random.default_rng(0), 0
    Image.fromarray(grain(24, 20)).save(stream, format=form)
    whole = stream.getvalue()
    for cut in range(0, len(whole), max(1, len(whole) // 20)):
        spoilt = bytearray(whole[:cut] if cut % 2 else whole)
        for _ in range(3):
            if spoilt:
                spoilt[draw.integers(min(len(spoilt), 200))] = draw.integers(256)
        path = tmp_path / "x"
        path.write_bytes(spoilt)
        try:
            open_picture(path)
        except PictureError:
            refused += 1
    assert refused > 0


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="does not exist"):
        open_picture(tmp_path / "none.png")
    with pytest.raises(PictureError, match="not a picture"):
        open_picture(tmp_path)


def test_a_picture_of_absurdly_many_pixels_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (100, 100)).save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(PictureError, match="too many pixels"):
        open_picture(tmp_path / "x.png")


def test_all_256_levels_survive_the_way_to_a_tensor_and_back() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    pixels = np.stack([pixels, pixels.T, 255 - pixels], axis=2)
    tensor = to_tensor(Image.fromarray(pixels))
    assert tensor.shape == (1, 3, 16, 16)
    assert (tensor.min(), tensor.max()) == (-1, 1)
    assert np.array_equal(np.asarray(to_pictures(tensor)[0]), pixels)


def test_values_beyond_the_range_are_clipped() -> None:
    image = torch.tensor([-9.0, -1.0, 0.0, 1.0, 9.0]).view(1, 1, 1, 5).expand(2, 3, 1, 5)
    assert to_bytes(image)[1, 0, :, 0].tolist() == [0, 0, 128, 255, 255]


def test_a_tensor_becomes_as_many_pictures_as_it_has_entries() -> None:
    pictures = to_pictures(torch.rand(3, 3, 5, 7) * 2 - 1)
    assert [picture.size for picture in pictures] == [(7, 5)] * 3


@pytest.mark.parametrize(("count", "columns", "size"), [(1, None, (4, 3)), (4, None, (10, 8)), (5, 4, (22, 8))])
def test_a_contact_sheet_sets_all_pictures_side_by_side(count: int, columns: int | None, size: tuple[int, int]) -> None:
    image = torch.linspace(-1, 0.5, count).view(count, 1, 1, 1).expand(count, 3, 3, 4)
    sheet = contact_sheet(image, columns)
    assert sheet.size == size
    for i, tile in enumerate(to_pictures(image)):
        x, y = (i % (columns or 2)) * 6, (i // (columns or 2)) * 5
        assert np.array_equal(np.asarray(sheet)[y : y + 3, x : x + 4], np.asarray(tile))


def test_a_png_carries_its_parameters_and_its_pixels_unchanged(tmp_path: Path) -> None:
    pixels, said = grain(), {"seed": 3, "sampler": "ddim", "checkpoint": "Köln 東京", "nested": {"steps": [1, 2]}}
    save_png(Image.fromarray(pixels), tmp_path / "x.png", said)
    assert read_parameters(tmp_path / "x.png") == said
    assert np.array_equal(np.asarray(open_picture(tmp_path / "x.png")), pixels)


def test_pictures_that_say_nothing_of_their_making_have_no_parameters(tmp_path: Path) -> None:
    for name in ("x.png", "x.jpg"):
        Image.new("RGB", (2, 2)).save(tmp_path / name)
        assert read_parameters(tmp_path / name) == {}


def test_parameters_another_program_wrote_in_its_own_way_count_as_none(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text(PARAMETERS, "a castle, oil on canvas\nSteps: 20, Sampler: Euler a")
    Image.new("RGB", (2, 2)).save(tmp_path / "x.png", pnginfo=info)
    assert read_parameters(tmp_path / "x.png") == {}


def test_a_picture_can_be_seen_another_way_and_loses_nothing() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    turned = transformed(Image.fromarray(pixels), lambda image: image.flip(2))
    assert np.array_equal(np.asarray(turned), pixels[::-1])
