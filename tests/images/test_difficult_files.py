"""The files that folders of pictures really hold: each is used as a viewer would show it, or skipped with a reason."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops
from torch import Tensor

from ddpm_core.commands import train
from ddpm_core.data.listing import SUFFIXES
from ddpm_core.data.load import load_pictures
from ddpm_core.training.pictures import Pictures, describe, read_pictures, skipped_file
from ddpm_core.training.settings import TrainRequest

SIZE = 16
LEFT, RIGHT = (200, 40, 10), (20, 60, 220)


def halves(width: int = 32, height: int = 32) -> Image.Image:
    """A picture that is red on its left and blue on its right."""
    picture = Image.new("RGB", (width, height), LEFT)
    picture.paste(RIGHT, (width // 2, 0, width, height))
    return picture


def request_for(folder: Path) -> TrainRequest:
    return TrainRequest(data=folder, out=folder.parent / "run", size=SIZE)


def read(folder: Path) -> Pictures:
    """The folder as a training run reads it."""
    return read_pictures(request_for(folder))


def read_one(folder: Path) -> Tensor:
    """(3, SIZE, SIZE) of the folder's one picture."""
    pictures = read(folder)
    assert len(pictures.train) == 1
    assert pictures.skipped == []
    return pictures.train.pixels[0]


def near(pixels: Tensor, left: tuple[int, ...], right: tuple[int, ...], within: int = 6) -> bool:
    """Whether both halves have these colours, but for the column where they meet."""
    wanted = torch.tensor([left, right])[:, :, None, None]
    shown = torch.stack([pixels[:, :, : SIZE // 2 - 2], pixels[:, :, SIZE // 2 + 2 :]]).int()
    return bool((shown - wanted).abs().max() <= within)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


# Used


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_of_an_animation_the_first_frame_is_used(folder: Path, suffix: str) -> None:
    others = [Image.new("RGB", (32, 32), "green"), Image.new("RGB", (32, 32), "white")]
    options = {"lossless": True} if suffix == "webp" else {}
    halves().save(folder / f"x.{suffix}", save_all=True, append_images=others, duration=50, **options)
    with Image.open(folder / f"x.{suffix}") as animation:
        assert animation.n_frames == 3  # type: ignore[attr-defined]
    assert near(read_one(folder), LEFT, RIGHT)


def test_cmyk_jpegs_have_the_colours_they_were_saved_with(folder: Path) -> None:
    halves().convert("CMYK").save(folder / "x.jpg", quality=95)
    assert b"Adobe" in (folder / "x.jpg").read_bytes()  # that is, stored inverted
    assert near(read_one(folder), LEFT, RIGHT, within=10)


def test_ycck_jpegs_as_photoshop_writes_them_have_their_colours(folder: Path) -> None:
    """Adobe's marker says with a 2 that the first three channels are YCbCr of what ink is missing, turned round."""
    inverted = np.asarray(ImageChops.invert(halves()).convert("YCbCr"))
    planes = np.dstack([inverted, np.full(inverted.shape[:2], 255, np.uint8)])  # 255 is no black
    saved = io.BytesIO()
    Image.fromarray(255 - planes, mode="CMYK").save(saved, format="JPEG", quality=95)  # Pillow inverts them again
    content = bytearray(saved.getvalue())
    marker = content.index(b"Adobe")
    assert content[marker + 11] == 0
    content[marker + 11] = 2
    (folder / "x.jpg").write_bytes(content)
    assert near(read_one(folder), LEFT, RIGHT, within=12)


def test_16_bit_grey_is_scaled(folder: Path) -> None:
    levels = np.full((32, 32), 10 * 257, np.uint16)
    levels[:, 16:] = 200 * 257
    Image.fromarray(levels).save(folder / "x.png")
    assert near(read_one(folder), (10,) * 3, (200,) * 3)


def test_floats_that_are_no_numbers_do_no_harm(folder: Path) -> None:
    levels = np.full((32, 32), 0.2, np.float32)
    levels[:, 16:], levels[0, 0] = 1, np.nan
    Image.fromarray(levels).save(folder / "x.tif")
    assert read_one(folder)[:, 8:, 2].unique().tolist() == [51]


def test_transparency_lies_on_white(folder: Path) -> None:
    picture = halves().convert("RGBA")
    picture.paste((0, 0, 0, 0), (16, 0, 32, 32))
    picture.save(folder / "x.png")
    assert near(read_one(folder), LEFT, (255, 255, 255))


def test_a_palette_with_a_transparent_colour_lies_on_white(folder: Path) -> None:
    picture = halves().quantize(2)
    clear = picture.getpixel((31, 0))
    picture.save(folder / "x.png", transparency=clear)
    assert near(read_one(folder), LEFT, (255, 255, 255))


def test_grey_with_transparency_lies_on_white(folder: Path) -> None:
    picture = Image.new("LA", (32, 32), (80, 255))
    picture.paste((80, 0), (16, 0, 32, 32))
    picture.save(folder / "x.png")
    assert near(read_one(folder), (80,) * 3, (255,) * 3)


@pytest.mark.parametrize(("mode", "level"), [("L", 90), ("1", 255)])
def test_pictures_without_colour_have_equal_channels(folder: Path, mode: str, level: int) -> None:
    picture = Image.new(mode, (32, 32), 0)
    picture.paste(level, (16, 0, 32, 32))
    picture.save(folder / "x.png")
    assert near(read_one(folder), (0,) * 3, (level,) * 3)


def test_what_a_camera_held_sideways_stored_is_turned_upright(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    halves().transpose(Image.Transpose.ROTATE_90).save(folder / "x.jpg", exif=exif, quality=95)
    assert near(read_one(folder), LEFT, RIGHT, within=10)


def test_of_a_long_picture_the_middle_is_used(folder: Path) -> None:
    picture = Image.new("RGB", (2000, 20), "green")
    picture.paste(halves(20, 20), (990, 0))
    picture.save(folder / "x.png")
    assert near(read_one(folder), LEFT, RIGHT)


def test_avif_is_read_where_pillow_can(folder: Path) -> None:
    if ".avif" not in SUFFIXES:
        Image.init()
        assert "AVIF" not in Image.SAVE
        return
    halves().save(folder / "X.AVIF", quality=95)
    assert near(read_one(folder), LEFT, RIGHT, within=12)


def test_large_jpegs_are_decoded_small_and_look_the_same(folder: Path) -> None:
    """A ramp with grain, as a photo has, so that a coarser way of reducing would show."""
    y, x = np.mgrid[0:600, 0:800]
    grain = np.random.default_rng(0).normal(0, 20, (600, 800))
    pixels = np.stack([x / 4 + grain, y / 3 + grain, 128 + 100 * np.sin(x / 40)], axis=2).clip(0, 255)
    Image.fromarray(pixels.astype(np.uint8)).save(folder / "x.jpg", quality=95)
    with Image.open(folder / "x.jpg") as picture:
        whole = picture.convert("RGB").resize((SIZE, SIZE), Image.Resampling.LANCZOS, box=(100, 0, 700, 600))
    difference = read_one(folder).int() - torch.from_numpy(np.array(whole)).permute(2, 0, 1).int()
    assert difference.abs().max() <= 3


# Skipped


def jpeg() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(stream, format="JPEG")
    return stream.getvalue()


def huge_png() -> bytes:
    """A PNG that says it has 400 million pixels, a bomb if it were decoded."""
    stream = io.BytesIO()
    Image.new("L", (8, 8)).save(stream, format="PNG")
    content = bytearray(stream.getvalue())
    content[16:24] = struct.pack(">II", 20_000, 20_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


def png(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    halves(width, height).save(stream, format="PNG")
    return stream.getvalue()


SKIPPED: dict[str, tuple[Callable[[], bytes], str]] = {
    "truncated.jpg": (lambda: jpeg()[: len(jpeg()) // 2], "not a picture that can be read"),
    "text.png": (lambda: b"This is no picture.", "not a picture that can be read"),
    "empty.png": (lambda: b"", "not a picture that can be read"),
    "bomb.png": (huge_png, "too many pixels"),
    "dot.png": (lambda: png(1, 1), "only 1 x 1 pixels; for squares of 16 it takes 2 a side"),
    "line.png": (lambda: png(400, 1), "only 400 x 1 pixels"),
}


@pytest.mark.parametrize("name", SKIPPED)
def test_what_cannot_be_used_is_skipped_with_its_reason(folder: Path, name: str) -> None:
    content, reason = SKIPPED[name]
    halves().save(folder / "good.png")
    (folder / name).write_bytes(content())
    pictures = read(folder)
    assert near(pictures.train.pixels[0], LEFT, RIGHT)
    assert [(skipped.source, reason in skipped.reason) for skipped in pictures.skipped] == [(folder / name, True)]
    assert name in pictures.skipped[0].reason


@pytest.mark.parametrize(("side", "used"), [(15, False), (16, True), (17, True)])
def test_a_picture_is_enlarged_eight_times_at_most(folder: Path, side: int, used: bool) -> None:
    halves().resize((side, 40)).save(folder / "x.png")
    halves(256, 256).save(folder / "y.png")
    assert len(load_pictures(sorted(folder.iterdir()), 128)) == 1 + used


@pytest.mark.integration
def test_skipped_files_of_both_parts_are_listed_and_counted(call, folder: Path) -> None:
    for number in range(5):
        halves().save(folder / f"{number}.png")
    (folder / "a").mkdir()
    for name in ("a/1.png", "a/2.png", "b\n.png", "c.png", "val.png"):
        (folder / name).write_bytes(b"no picture")
    (folder / "labels.csv").write_text("file,split\n4.png,val\nval.png,val\n")
    flags = ["--preset", "tiny", "--iterations", 1, "--stage", "vae", "--device", "cpu", "--size", 16]
    out = folder.parent / "run"
    outcome = call(train.main, "--data", folder, "--out", out, *flags)
    assert outcome.status == 0, outcome.err
    listed = out / "training" / "skipped.txt"
    assert f"Skipped 5 files that cannot be used (a/1.png, a/2.png, b\\n.png, ...); {listed} says why." in outcome.out
    assert "4 pictures to train on, 1 held out." in outcome.out
    lines = listed.read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["a/1.png", "a/2.png", "b\\n.png", "c.png", "val.png"]
    assert all("not a picture that can be read" in line.split("\t")[1] for line in lines)
    (folder / "c.png").unlink()
    assert call(train.main, "--data", folder, "--out", out, *flags).status == 2  # the run is there already
    assert listed.read_text().splitlines() == lines  # and what is refused changes nothing in it


def test_a_list_of_skipped_files_does_not_outlive_them(folder: Path) -> None:
    halves().save(folder / "0.png")
    (folder / "1.png").write_bytes(b"")
    listed = skipped_file(request_for(folder).out)
    describe(request_for(folder), read(folder))
    assert listed.exists()
    halves().save(folder / "1.png")
    describe(request_for(folder), read(folder))
    assert not listed.exists()


def test_names_that_are_no_text_can_be_listed(folder: Path) -> None:
    bad = folder / "caf\udce9.png"  # Latin-1 on a disk that is read as UTF-8
    halves().save(folder / "0.png")
    try:
        bad.write_bytes(b"")
    except (OSError, UnicodeError):  # macOS refuses such names
        return
    describe(request_for(folder), read(folder))
    assert skipped_file(request_for(folder).out).read_text().startswith("caf\\udce9.png\t")


def test_held_out_files_none_of_which_can_be_used_do_not_end_the_run(folder: Path) -> None:
    for part in ("train", "val"):
        (folder / part).mkdir()
        halves().save(folder / part / "0.png")
    (folder / "val" / "0.png").write_bytes(b"")
    pictures = read(folder)
    assert (len(pictures.train), pictures.held_out) == (1, None)
    assert [skipped.source.name for skipped in pictures.skipped] == ["0.png"]  # type: ignore[union-attr]
