"""Colour profiles: a model sees sRGB, and what it makes goes back into the colours of the upload.

The profile of an RGB or RGBA picture that is not sRGB is in `info["icc_profile"]`.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

PROFILE = "icc_profile"
LARGEST = 2**23  # bytes of a profile; those of printing presses have 2 MB
GRID = 9  # colours a side of the cube on which a profile is compared with sRGB

SPACES = {"L": "GRAY", "LA": "GRAY", "CMYK": "CMYK", "RGB": "RGB", "RGBA": "RGB"}  # of profiles, by mode


def in_rgb(picture: Image.Image) -> Image.Image:
    """A picture of any mode in `SPACES` as RGB or RGBA, with its profile if that is one of RGB.

    Grey and CMYK with a profile are brought to sRGB, and so is RGB whose profile knows no way back, as scanners' do. A
    profile that cannot be used is left out.
    """
    given, profile = picture.mode, picture.info.get(PROFILE)
    mode = "RGBA" if picture.has_transparency_data else "RGB"
    if not profile or _transform(profile, SPACES[given], True) is None:
        return _with_profile(picture.convert(mode), None)
    if SPACES[given] == "RGB" and _transform(profile, "RGB", False) is not None:
        return _with_profile(picture.convert(mode), profile)
    color = picture.getchannel(0) if SPACES[given] == "GRAY" else picture
    return _with_profile(_applied(color, profile, alpha=picture.convert(mode)), None)


def in_srgb(picture: Image.Image) -> Image.Image:
    """An RGB or RGBA picture in sRGB, without a profile."""
    profile = picture.info.get(PROFILE)
    if not profile:
        return picture
    if _is_srgb(profile):
        return _with_profile(picture.copy(), None)
    return _with_profile(_applied(picture, profile, alpha=picture), None)


def in_colors_of(result: Image.Image, picture: Image.Image) -> Image.Image:
    """What was made, RGB in sRGB, in an upload's colours, with its profile."""
    profile = picture.info.get(PROFILE)
    if not profile or _is_srgb(profile):
        return _with_profile(result.copy(), profile)
    transform = _transform(profile, "RGB", False)
    assert transform is not None  # `in_rgb` leaves no other profile on a picture
    return _with_profile(transform.apply(result), profile)


def with_colors_of(pixels: np.ndarray, picture: Image.Image) -> Image.Image:
    """Pixels (H, W, 3 or 4) as a picture of the same profile."""
    return _with_profile(Image.fromarray(pixels), picture.info.get(PROFILE))


def _applied(color: Image.Image, profile: bytes, alpha: Image.Image) -> Image.Image:
    transform = _transform(profile, SPACES[color.mode], True)
    assert transform is not None
    converted = transform.apply(color.convert("RGB") if SPACES[color.mode] == "RGB" else color)
    if alpha.mode == "RGBA":
        converted.putalpha(alpha.getchannel("A"))
    return converted


def _with_profile(picture: Image.Image, profile: bytes | None) -> Image.Image:
    picture.info = {PROFILE: profile} if profile else {}
    return picture


@lru_cache(maxsize=32)
def _transform(profile: bytes, space: str, to_srgb: bool) -> ImageCms.ImageCmsTransform | None:
    """From a profile's colours to sRGB or back; None if it cannot be used."""
    if len(profile) > LARGEST:
        return None
    mode = {"GRAY": "L"}.get(space, space)
    try:
        own = ImageCms.getOpenProfile(io.BytesIO(profile))
        if own.profile.xcolor_space.strip() != space:
            return None
        srgb = ImageCms.createProfile("sRGB")
        if to_srgb:
            return ImageCms.buildTransform(own, srgb, mode, "RGB")
        return ImageCms.buildTransform(srgb, own, "RGB", mode)
    except Exception:  # ImageCms' own error, the system's, and what damage leads to
        return None


@lru_cache(maxsize=32)
def _is_srgb(profile: bytes) -> bool:
    """Whether an RGB profile says what sRGB says, to a level."""
    levels = np.linspace(0, 255, GRID).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(GRID**2, GRID, 3)
    transform = _transform(profile, "RGB", True)
    assert transform is not None
    return bool(np.abs(np.asarray(transform.apply(Image.fromarray(cube)), int) - cube).max() <= 1)
