"""Joining what was made to what was kept: the fill takes on the tone of the picture at its edge.

An autoencoder gives colours back nearly, not exactly, and the eye sees the step where its pixels meet the
upload's. Kept pixels are never touched, so the fill has to give way.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor
from torch.nn import functional as F

from ddpm_core.images.colors import with_colors_of

SWEEPS = 12  # relaxation steps per resolution; the coarser one has already settled all but the finest waves


def blend(picture: Image.Image, fill: Image.Image, painted: np.ndarray, feather: int = 0) -> Image.Image:
    """`fill` where `painted`, `picture` elsewhere, without a step in tone between them.

    The difference between the two at the edge of the painted area is spread over that area as a membrane
    and added to the fill, which is Poisson cloning (Perez et al. 2003, eq. 9). What is kept stays identical,
    bit for bit.

    Args:
        picture, fill: of one size, mode (RGB or RGBA) and colour profile.
        painted: bool (H, W).
        feather: pixels inside the painted area over which the picture fades into the fill.
    """
    rows, columns = (np.flatnonzero(painted.any(axis)) for axis in (1, 0))
    if not len(rows):
        return picture
    top, bottom = max(rows[0] - 1, 0), min(rows[-1] + 2, picture.height)  # one pixel more: the edge to meet
    left, right = max(columns[0] - 1, 0), min(columns[-1] + 2, picture.width)
    window = np.s_[top:bottom, left:right]
    original, made = (np.asarray(image)[window].astype(np.float32) for image in (picture, fill))

    known = ~painted[window]
    if picture.mode == "RGBA":  # what is transparent has a colour nobody sees
        known &= original[:, :, 3] == 255
    if known.any():
        difference = torch.from_numpy((original - made)[:, :, :3]).permute(2, 0, 1)[None]
        made[:, :, :3] += membrane(difference, torch.from_numpy(known)[None, None])[0].permute(1, 2, 0).numpy()
    if feather:
        made = original + _fading_in(painted, feather)[window][:, :, None] * (made - original)

    result = np.array(picture)
    region = painted[window]
    result[window][region] = np.rint(made.clip(0, 255)).astype(np.uint8)[region]
    return with_colors_of(result, picture)


def membrane(values: Tensor, known: Tensor) -> Tensor:
    """`values` (B, C, H, W) where `known` (B, 1, H, W), elsewhere the smoothest surface that joins them.

    Solves Laplace's equation from coarse to fine: each resolution starts from the coarser one's solution
    and is relaxed by Jacobi sweeps (a cascadic multigrid, Bornemann & Deuflhard 1996).
    """
    height, width = values.shape[2:]
    if known.all():
        return values
    if max(height, width) <= 2:
        mean = (values * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True).clamp_min(1)
        return torch.where(known, values, mean)
    even = (0, width % 2, 0, height % 2)
    share = F.avg_pool2d(F.pad(known.float(), even), 2)
    coarse = membrane(F.avg_pool2d(F.pad(values * known, even), 2) / share.clamp_min(0.25), share > 0)
    surface = F.interpolate(coarse, scale_factor=2, mode="bilinear")[:, :, :height, :width]
    surface = torch.where(known, values, surface)
    for _ in range(SWEEPS):
        around = F.pad(surface, (1, 1, 1, 1), mode="replicate")
        mean = around[:, :, :-2, 1:-1] + around[:, :, 2:, 1:-1] + around[:, :, 1:-1, :-2] + around[:, :, 1:-1, 2:]
        surface = torch.where(known, values, mean / 4)
    return surface


def _fading_in(painted: np.ndarray, feather: int) -> np.ndarray:
    """Weight (H, W) of the fill: 0 outside, rising from the painted area's edge to 1 `feather` pixels inside."""
    blurred = Image.fromarray(painted.astype(np.uint8) * 255).filter(ImageFilter.BoxBlur(feather))
    return (np.asarray(blurred, dtype=np.float32) / 127.5 - 1).clip(0, 1) * painted
