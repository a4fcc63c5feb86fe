"""Colour profiles: the model sees sRGB, the result has the upload's colours and profile."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from ddpm_core.images.animation import save_gif
from ddpm_core.images.colors import in_srgb
from ddpm_core.images.crop import Frame, box_crop, center_crop
from ddpm_core.images.faces import Box
from ddpm_core.images.files import as_picture, as_rgb, open_picture, read_picture, save_png, to_tensor
from tests.icc_profiles import ink_profile, profile

SIZE = 32

P3 = profile()
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def shown(picture: Image.Image) -> np.ndarray:
    """The sRGB numbers (H, W, 3) that a viewer which knows profiles shows."""
    rgb, own = picture.convert("RGB"), picture.info.get("icc_profile")
    if own:
        rgb = ImageCms.profileToProfile(rgb, ImageCms.ImageCmsProfile(io.BytesIO(own)), SRGB)
    return np.asarray(rgb).astype(int)


def ramp(width: int = 60, height: int = 40) -> Image.Image:
    """Colours of sRGB, none so strong that P3's numbers for it would be 0 or 255."""
    y, x = np.mgrid[:height, :width]
    levels = np.stack([40 + 3 * x, 40 + 4 * y, 200 - 2 * x], axis=2).clip(0, 255)
    return Image.fromarray(levels.astype(np.uint8))


@pytest.fixture
def wide() -> Image.Image:
    """The ramp in the numbers of Display P3, with the profile."""
    picture = ImageCms.profileToProfile(ramp(), SRGB, ImageCms.ImageCmsProfile(io.BytesIO(P3)))
    picture.info = {"icc_profile": P3}
    return picture


def off(one: np.ndarray | Image.Image, other: np.ndarray | Image.Image) -> int:
    return int(np.abs(np.asarray(one).astype(int) - np.asarray(other)).max())


@pytest.mark.parametrize("suffix", ["png", "webp", "tif", "jpg"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_an_upload_keeps_its_numbers_and_its_profile(wide: Image.Image, tmp_path: Path, suffix: str, mode: str) -> None:
    if (suffix, mode) == ("jpg", "RGBA"):
        mode = "RGB"
    path = tmp_path / f"x.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {"quality": 98} if suffix == "jpg" else {}
    made = wide.convert(mode)
    if mode == "RGBA":
        made.putpixel((0, 0), (9, 9, 9, 100))
    made.save(path, icc_profile=P3, **options)
    opened = open_picture(path)
    assert opened.mode == mode
    assert opened.info == {"icc_profile": P3}
    assert off(opened, made) <= (6 if suffix == "jpg" else 0)
    assert off(np.asarray(in_srgb(opened))[1:, 1:, :3], np.asarray(ramp())[1:, 1:]) <= (12 if suffix == "jpg" else 2)
    assert in_srgb(opened).info == {}


def test_a_model_sees_srgb_wherever_it_looks(wide: Image.Image) -> None:
    painted = np.zeros((40, 60), bool)
    painted[:3] = True
    square = Box(10, 0, 40)
    for seen, same in (
        (as_rgb(wide), as_rgb(ramp())),
        (box_crop(wide, square, SIZE), box_crop(ramp(), square, SIZE)),
        (center_crop(wide, SIZE), center_crop(ramp(), SIZE)),
    ):
        assert off(seen, same) <= 2
        assert "icc_profile" not in seen.info
    seen, same = (Frame.around(one, painted, SIZE).image() for one in (wide, ramp()))
    assert (seen - same).abs().max() <= 2 / 127.5
    assert (seen - to_tensor(box_crop(Image.fromarray(np.asarray(wide)), square, SIZE))).abs().max() > 6 / 127.5


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_result_has_the_uploads_profile_its_kept_numbers_and_a_fill_of_the_right_colour(
    wide: Image.Image, tmp_path: Path, mode: str
) -> None:
    upload = as_picture(wide.convert(mode))
    if mode == "RGBA":
        upload.putpixel((59, 39), (0, 0, 0, 0))
    painted = np.zeros((40, 60), bool)
    painted[:, :20] = True
    frame = Frame.around(upload, painted, SIZE)
    fill = Image.new("RGB", (SIZE, SIZE), (220, 60, 60))
    save_png(frame.paste(fill), tmp_path / "made.png", {})
    frame.reduced(30).paste(fill).save(tmp_path / "small.png")
    made = Image.open(tmp_path / "made.png")
    assert made.info["icc_profile"] == P3
    assert made.mode == mode
    assert np.array_equal(np.asarray(made)[~painted], np.asarray(upload)[~painted])
    assert Image.open(tmp_path / "small.png").info["icc_profile"] == P3
    # The tone meets the upload's at the edge, but it is the same as for an upload that has sRGB's numbers.
    plain = Frame.around(as_picture(ramp().convert(mode)), painted, SIZE).paste(fill)
    assert np.abs(shown(made) - shown(plain))[painted].mean() < 2


def test_a_profile_that_is_srgb_changes_no_number(tmp_path: Path) -> None:
    ramp().save(tmp_path / "x.png", icc_profile=profile("sRGB"))
    opened = open_picture(tmp_path / "x.png")
    assert opened.info["icc_profile"] == profile("sRGB")
    assert off(as_rgb(opened), ramp()) == 0
    painted = np.zeros((40, 60), bool)
    painted[:, :20] = True
    made = Frame.around(opened, painted, SIZE).paste(Image.new("RGB", (SIZE, SIZE)))
    assert made.info["icc_profile"] == profile("sRGB")


@pytest.mark.parametrize(
    "broken",
    [b"no profile", P3[:200], P3[:128], P3.replace(b"rXYZ", b"qXYZ"), profile(space=b"GRAY"), b"\0" * 500],
    ids=["text", "half", "head", "a colour missing", "of grey", "nothing"],
)
def test_a_profile_that_cannot_be_used_is_left_out(broken: bytes, tmp_path: Path) -> None:
    ramp().save(tmp_path / "x.png", icc_profile=broken)
    opened = open_picture(tmp_path / "x.png")
    assert opened.info == {}
    assert off(as_rgb(opened), ramp()) == 0


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_grey_with_a_profile_of_its_own_is_shown_as_it_says(mode: str, tmp_path: Path) -> None:
    """A gamma of 1.2 makes lighter than sRGB's of about 2.2 what has the same number."""
    levels = np.full((8, 8), 100, np.uint8)
    picture = Image.fromarray(levels.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(levels)
    if mode == "LA":
        picture.putalpha(Image.new("L", (8, 8), 128))
    picture.save(tmp_path / "x.png", icc_profile=profile(space=b"GRAY"))
    opened = open_picture(tmp_path / "x.png")
    assert opened.info == {}
    assert opened.mode == ("RGBA" if mode == "LA" else "RGB")
    expected = 255 * (1.055 * ((100 / 255) ** 1.2) ** (1 / 2.4) - 0.055)
    assert np.asarray(opened)[0, 0, 0] == pytest.approx(expected, abs=3)
    if mode == "LA":
        assert np.asarray(opened)[0, 0, 3] == 128


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_is_shown_as_its_profile_says(suffix: str, tmp_path: Path) -> None:
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    cyan.save(tmp_path / f"plain.{suffix}")
    cyan.save(tmp_path / f"press.{suffix}", icc_profile=ink_profile())
    plain, press = (open_picture(tmp_path / f"{name}.{suffix}") for name in ("plain", "press"))
    assert plain.getpixel((8, 8))[0] < 30
    assert press.getpixel((8, 8))[0] > 150
    assert (press.mode, press.info) == ("RGB", {})


def test_a_palette_has_its_profile_too(wide: Image.Image, tmp_path: Path) -> None:
    few = wide.quantize(16)
    few.save(tmp_path / "x.png", icc_profile=P3)
    opened = open_picture(tmp_path / "x.png")
    assert opened.info == {"icc_profile": P3}
    assert off(opened, few.convert("RGB")) == 0


def test_frames_of_a_gif_are_in_srgb(wide: Image.Image, tmp_path: Path) -> None:
    flat = wide.crop((20, 20, 21, 21)).resize((8, 8))
    assert flat.info["icc_profile"] == P3
    save_gif([flat], tmp_path / "x.gif", 1, 8)
    assert off(Image.open(tmp_path / "x.gif").convert("RGB").resize((1, 1)), as_rgb(flat).resize((1, 1))) <= 1


def test_what_is_read_as_it_is_stored_is_not_converted(wide: Image.Image, tmp_path: Path) -> None:
    wide.save(tmp_path / "x.png", icc_profile=P3)
    assert off(read_picture(tmp_path / "x.png", lambda picture: picture.copy()), wide) == 0
