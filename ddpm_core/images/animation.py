"""Frames as a GIF, which everything shows, or an MP4, smaller and in all colours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from ddpm_core.images.files import as_picture, as_rgb

MOST_FRAMES = 60  # of a run; an animation of more is no better and much larger
LINGER = 1.0  # seconds that the last frame stays beside its own time

Item = TypeVar("Item")


def evenly(count: int, limit: int) -> list[int]:
    """At most `limit` of the indices 0..`count`-1, evenly spaced, first and last among them."""
    if count <= limit:
        return list(range(count))
    return [round(i * (count - 1) / (limit - 1)) for i in range(limit)]


def spread(items: Iterable[Item], count: int, limit: int = MOST_FRAMES) -> Iterator[Item]:
    """At most `limit` of `count` items, evenly spaced, as they come; all are gone through."""
    chosen = set(evenly(count, limit))
    return (item for i, item in enumerate(items) if i in chosen)


def there_and_back(frames: Sequence[Image.Image]) -> list[Image.Image]:
    """The frames forwards, then backwards; the last one once."""
    return [*frames, *reversed(frames[:-1])]


def save_gif(frames: Sequence[Image.Image], path: str | Path, seconds: float, side: int) -> None:
    """Write frames as a looping GIF of about `seconds` and one more for the last, its longer side `side` pixels."""
    # Every frame has its own palette, which is kinder to faces.
    scaled = [_in_256_colours(frame) for frame in _scaled(frames, side)]
    pause = max(20, round(100 * seconds / len(frames)) * 10)  # GIF counts hundredths; browsers slow down below 20 ms
    durations = [pause] * (len(scaled) - 1) + [pause + round(1000 * LINGER)]
    scaled[0].save(path, format="GIF", save_all=True, append_images=scaled[1:], duration=durations, loop=0, disposal=1)


def save_mp4(frames: Sequence[Image.Image], path: str | Path, seconds: float, side: int) -> None:
    """Write frames as an MP4 (H.264), on white where transparent; else as `save_gif`. Sides are rounded to even
    numbers.
    """
    import imageio  # takes a moment, and only films need it

    rate = len(frames) / seconds  # frames in a second
    # Sides are even, as the format's halved colours want.
    pixels = [np.asarray(frame) for frame in _scaled(frames, side, multiple=2)]  # (H, W, 3) each
    pixels += pixels[-1:] * max(1, round(LINGER * rate))
    film: Any = imageio.get_writer(
        path, format="FFMPEG", mode="I", fps=rate, codec="libx264", pixelformat="yuv420p", quality=8,
        macro_block_size=2, ffmpeg_log_level="error", output_params=["-movflags", "+faststart"],
    )  # fmt: skip
    with film:
        for frame in pixels:
            film.append_data(frame)


FORMATS: dict[str, Callable[[Sequence[Image.Image], str | Path, float, int], None]] = {
    "gif": save_gif,
    "mp4": save_mp4,
}
SUFFIXES = tuple(f".{name}" for name in FORMATS)


def _scaled(frames: Sequence[Image.Image], side: int, multiple: int = 1) -> list[Image.Image]:
    """The frames with a longer side of `side`, both multiples of `multiple`, in sRGB and on white."""
    scale = side / max(frames[0].size) / multiple
    width, height = (multiple * max(1, round(extent * scale)) for extent in frames[0].size)
    return [as_rgb(as_picture(frame).resize((width, height), Image.Resampling.LANCZOS)) for frame in frames]


def _in_256_colours(frame: Image.Image) -> Image.Image:
    """In colours chosen from some of its pixels: nearly as near, and much sooner."""
    some = frame.resize((min(frame.width, 64), min(frame.height, 64)), Image.Resampling.NEAREST)
    return frame.quantize(palette=some.quantize(), dither=Image.Dither.NONE)
