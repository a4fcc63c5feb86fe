"""Pictures of more than 8 bits (grey of 16 and 32 bits, floats), in 8."""

from __future__ import annotations

import numpy as np
from PIL import Image, TiffImagePlugin

SAMPLE_FORMAT, UNSIGNED, SIGNED = 339, 1, 2  # of TIFF: what kind of number a pixel is
NOMINAL = (1, 255, 65535)  # largest values of the ranges that files usually have
USED = 1 / 4  # of a nominal range must be used for it to be taken for the file's


def is_wide(picture: Image.Image) -> bool:
    """Whether a picture's grey has more than 8 bits, or other numbers than 0 to 255."""
    return picture.mode.startswith("I") or picture.mode == "F" or _is_signed_8_bit(picture)


def values(picture: Image.Image) -> np.ndarray:
    """Float (H, W): the numbers of a grey file; NaN and infinite ones are the least or largest."""
    numbers = np.asarray(picture)
    if picture.mode == "I" and _sample_format(picture) == UNSIGNED:  # Pillow reads them as signed
        numbers = numbers.view(np.uint32)
    elif _is_signed_8_bit(picture):
        numbers = numbers.view(np.int8)
    numbers = numbers.astype(np.float64)
    known = numbers[np.isfinite(numbers)]
    low, high = (known.min(), known.max()) if known.size else (0.0, 0.0)
    return np.nan_to_num(numbers, nan=low, posinf=high, neginf=low)


def in_8_bits(picture: Image.Image) -> Image.Image:
    """Grey of any kind of number as 8-bit grey, with an alpha channel if one number means transparent.

    16-bit grey is 0 to 65535. Of other files the range is the smallest usual one that holds the numbers, if they use
    enough of it, else from the least to the largest.
    """
    numbers = values(picture)
    low, high = numbers.min(), numbers.max()
    if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format == "PNG"):
        low, high = 0.0, 65535.0
    else:
        nominal = next((top for top in NOMINAL if high <= top), None)
        if low >= 0 and nominal is not None and (high > USED * nominal or high == low):
            low, high = 0.0, float(nominal)
    span = high - low if high > low else 1.0
    grey = Image.fromarray(((numbers - low).clip(0, span) / span * 255).round().astype(np.uint8))
    if isinstance(clear := picture.info.get("transparency"), int):
        grey.putalpha(Image.fromarray(np.where(numbers == clear, np.uint8(0), np.uint8(255))))
    grey.info = {name: value for name, value in picture.info.items() if name != "transparency"}
    return grey


def _sample_format(picture: Image.Image) -> int | None:
    if not isinstance(picture, TiffImagePlugin.TiffImageFile):
        return None
    sample_format = picture.tag_v2.get(SAMPLE_FORMAT, (UNSIGNED,))
    return sample_format[0] if isinstance(sample_format, tuple) and sample_format else UNSIGNED


def _is_signed_8_bit(picture: Image.Image) -> bool:
    return picture.mode == "L" and _sample_format(picture) == SIGNED
