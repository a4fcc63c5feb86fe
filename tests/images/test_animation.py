"""Moving pictures: what is in them, how long they last, how large they are."""

from __future__ import annotations

from pathlib import Path

import imageio
import numpy as np
import pytest
from PIL import Image

from ddpm_core.images.animation import FORMATS, evenly, save_gif, save_mp4, spread, there_and_back


@pytest.mark.parametrize(("count", "limit"), [(1, 8), (8, 8), (20, 8), (200, 60), (61, 60)])
def test_evenly(count: int, limit: int) -> None:
    chosen = evenly(count, limit)
    assert len(chosen) == len(set(chosen)) == min(count, limit)
    assert (chosen[0], chosen[-1]) == (0, count - 1)


def test_what_is_spread_is_taken_as_it_comes_and_all_is_gone_through() -> None:
    gone: list[int] = []
    steps = (gone.append(i) or i for i in range(9))  # type: ignore[func-returns-value]
    assert list(spread(steps, 9, limit=3)) == [0, 4, 8]
    assert gone == list(range(9))


def test_a_walk_there_and_back_turns_at_its_last_picture_once() -> None:
    first, middle, end = frames = [Image.new("RGB", (2, 2), colour) for colour in ("red", "green", "blue")]
    assert there_and_back(frames) == [first, middle, end, middle, first]


@pytest.mark.parametrize(("count", "seconds"), [(1, 2.0), (5, 1.0), (20, 3.0), (200, 1.0)])
def test_a_gif_has_every_frame_in_order_and_lasts_about_as_long_as_requested(
    tmp_path: Path, count: int, seconds: float
) -> None:
    frames = [Image.new("RGB", (6, 4), (i, 255 - i, 10)) for i in range(count)]
    save_gif(frames, tmp_path / "x.gif", seconds, side=12)
    with Image.open(tmp_path / "x.gif") as gif:
        assert gif.size == (12, 8)
        assert getattr(gif, "n_frames", 1) == count
        durations = []
        for i in range(count):
            gif.seek(i)
            durations.append(gif.info["duration"])
            assert gif.convert("RGB").getpixel((5, 5)) == (i, 255 - i, 10)
        if count > 1:
            assert gif.info["loop"] == 0
    pause = max(20, round(100 * seconds / count) * 10)
    assert durations == [pause] * (count - 1) + [pause + 1000]


def test_frames_of_a_gif_that_are_alike_are_all_kept_in_time(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), "red")] * 4 + [Image.new("RGB", (8, 8), "blue")]
    save_gif(frames, tmp_path / "x.gif", 1.0, side=8)
    with Image.open(tmp_path / "x.gif") as gif:
        total = 0
        for i in range(gif.n_frames):
            gif.seek(i)
            total += gif.info["duration"]
    assert total == 5 * 200 + 1000


def test_a_gif_is_as_near_as_256_colours_of_its_own_for_every_frame_come(tmp_path: Path) -> None:
    y, x = np.mgrid[:128, :128] * 2
    frames = [Image.fromarray(np.stack([x, y, tint + x // 4], axis=2).astype(np.uint8)) for tint in (0, 190)]
    save_gif(frames, tmp_path / "x.gif", 1.0, side=128)
    with Image.open(tmp_path / "x.gif") as gif:
        for i, frame in enumerate(frames):
            gif.seek(i)
            difference = np.abs(np.asarray(gif.convert("RGB"), np.int16) - np.asarray(frame, np.int16))
            assert difference.mean() < 5


def film(path: Path) -> tuple[list[np.ndarray], dict]:
    with imageio.get_reader(path, format="FFMPEG") as reader:
        return list(iter(reader)), reader.get_meta_data()


@pytest.mark.parametrize(("count", "seconds"), [(1, 2.0), (5, 1.0), (60, 3.0)])
def test_an_mp4_has_every_frame_in_order_and_lasts_about_as_long_as_requested(
    tmp_path: Path, count: int, seconds: float
) -> None:
    frames = [Image.new("RGB", (60, 40), (4 * i, 255 - 4 * i, 10)) for i in range(count)]
    save_mp4(frames, tmp_path / "x.mp4", seconds, side=121)
    shown, said = film(tmp_path / "x.mp4")
    assert said["codec"].startswith("h264")
    assert said["duration"] == pytest.approx(seconds + 1, rel=0.5 if count == 1 else 0.05)
    for i in range(count):
        assert shown[i].shape == (80, 120, 3)  # even, as the format wants it
        assert np.abs(shown[i][40, 60].astype(int) - (4 * i, 255 - 4 * i, 10)).max() < 8


def test_what_is_transparent_is_white_in_an_mp4(tmp_path: Path) -> None:
    save_mp4([Image.new("RGBA", (32, 32), (0, 0, 0, 0))] * 3, tmp_path / "x.mp4", 1.0, side=32)
    shown, _ = film(tmp_path / "x.mp4")
    assert shown[0].min() > 245


@pytest.mark.parametrize(("name", "begins"), [("gif", b"GIF89a"), ("mp4", b"\x00\x00\x00")])
def test_every_format_writes_what_its_name_says(tmp_path: Path, name: str, begins: bytes) -> None:
    FORMATS[name]([Image.new("RGB", (16, 16), "teal")] * 2, tmp_path / f"x.{name}", 1.0, 16)
    head = (tmp_path / f"x.{name}").read_bytes()[:12]
    assert head.startswith(begins)
    assert (b"ftyp" in head) == (name == "mp4")


def test_what_is_transparent_is_white_in_a_gif(tmp_path: Path) -> None:
    frame = Image.new("RGBA", (16, 16), (200, 0, 0, 255))
    frame.paste((0, 0, 0, 0), (0, 0, 8, 16))
    save_gif([frame] * 3, tmp_path / "x.gif", 1.0, side=16)
    with Image.open(tmp_path / "x.gif") as gif:
        assert [gif.convert("RGB").getpixel((x, 8)) for x in (3, 13)] == [(255, 255, 255), (200, 0, 0)]
