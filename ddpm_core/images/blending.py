"""Joining what was made to what was kept: the fill takes on the tone of the picture at its edge."""

from __future__ import annotations

import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ddpm_core.images.colors import with_colors_of

SWEEPS = 12  # relaxation steps per resolution; the coarser one has already settled all but the finest waves
WIDTHS, LARGE = 12, 2**18  # how many widths are told apart in fading a fill in, and in an area of how many pixels


def blend(picture: Image.Image, fill: Image.Image, painted: np.ndarray, feather: int = 0) -> Image.Image:
    """`fill` where `painted`, `picture` elsewhere, bit for bit, without a step in tone between them.

    The difference at the edge is spread over the painted area and added to the fill: Poisson cloning (Perez et al.
    2003, eq. 9).

    Args:
        picture, fill: of one size, mode (RGB or RGBA) and colour profile.
        painted: bool (H, W).
        feather: pixels inside the painted area over which the fill fades in, at most half its local width.
    """
    rows, columns = (np.flatnonzero(painted.any(axis)) for axis in (1, 0))
    if not len(rows):
        return picture
    top, bottom = max(rows[0] - 1, 0), min(rows[-1] + 2, picture.height)  # one pixel more: the edge to meet
    left, right = max(columns[0] - 1, 0), min(columns[-1] + 2, picture.width)
    window = np.s_[top:bottom, left:right]
    original, filled = (np.asarray(image)[window].astype(np.float32) for image in (picture, fill))

    known = ~painted[window]
    if picture.mode == "RGBA":  # what is transparent has a colour nobody sees
        known &= original[:, :, 3] == 255
    if known.any():
        difference = torch.from_numpy((original - filled)[:, :, :3]).permute(2, 0, 1)[None]  # (1, 3, h, w)
        filled[:, :, :3] += membrane(difference, torch.from_numpy(known)[None, None])[0].permute(1, 2, 0).numpy()
    if feather:
        filled = original + _fade_in(painted[window], feather)[:, :, None] * (filled - original)

    result = np.array(picture)
    mask = painted[window]
    result[window][mask] = np.rint(filled.clip(0, 255)).astype(np.uint8)[mask]
    return with_colors_of(result, picture)


def membrane(values: Tensor, known: Tensor) -> Tensor:
    """`values` (B, C, H, W) where `known` (B, 1, H, W), elsewhere the smoothest surface that joins them.

    Laplace's equation from coarse to fine, relaxed by Jacobi sweeps (a cascadic multigrid, Bornemann & Deuflhard 1996).
    """
    height, width = values.shape[2:]
    if known.all():
        return values
    if max(height, width) <= 2:
        mean = (values * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True).clamp_min(1)
        return torch.where(known, values, mean)
    even = (0, width % 2, 0, height % 2)
    coverage = F.avg_pool2d(F.pad(known.float(), even), 2)  # (B, 1, H/2, W/2), rounded up
    coarse = membrane(F.avg_pool2d(F.pad(values * known, even), 2) / coverage.clamp_min(0.25), coverage > 0)
    surface = F.interpolate(coarse, scale_factor=2, mode="bilinear")[:, :, :height, :width]
    surface = torch.where(known, values, surface)  # (B, C, H, W)
    for _ in range(SWEEPS):
        around = F.pad(surface, (1, 1, 1, 1), mode="replicate")  # (B, C, H+2, W+2)
        mean = around[:, :, :-2, 1:-1] + around[:, :, 2:, 1:-1] + around[:, :, 1:-1, :-2] + around[:, :, 1:-1, 2:]
        surface = torch.where(known, values, mean / 4)
    return surface


def _fade_in(painted: np.ndarray, feather: int) -> np.ndarray:
    """Weight of the fill (H, W): 0 outside, rising to 1 `feather` pixels inside, or at half the local width."""
    import cv2  # here, for it takes a while, and only a feather needs it

    if painted.all():
        return np.ones(painted.shape, np.float32)
    distance = cv2.distanceTransform(painted.astype(np.uint8), cv2.DIST_L2, 5)  # (H, W); of a pixel at the edge, 1
    depth = np.minimum(distance, feather + 1)
    height, width = depth.shape
    factor = math.ceil(math.sqrt(height * width / LARGE))  # widths need not be known to the pixel
    small = np.pad(depth, [(0, -height % factor), (0, -width % factor)])
    rows, columns = small.shape
    small = small.reshape(rows // factor, factor, columns // factor, factor).max((1, 3))
    half = cv2.resize(_half_width(small, factor), (columns, rows), interpolation=cv2.INTER_LINEAR)[:height, :width]
    return np.where(painted, depth / np.maximum(np.maximum(half, depth), 1), 0).astype(np.float32)


def _half_width(depth: np.ndarray, factor: int) -> np.ndarray:
    """Half the local width (h, w) of an area from each place's `depth` in it, 0 outside, `factor` pixels apart.

    The radius of the largest disc in the area that holds the place (local thickness, Hildebrand and Ruegsegger 1997),
    falling off over as far again beyond the disc, so that it has no steps.
    """
    import cv2

    pieces, piece = cv2.connectedComponents((depth > 0).astype(np.uint8), connectivity=8)
    half = depth.copy()
    for reach in np.geomspace(1, max(depth.max(), 1), WIDTHS):
        outside = (depth < reach).astype(np.uint8)
        if pieces == 2:  # one, and what is around it
            off, own = cv2.distanceTransform(outside, cv2.DIST_L2, 5), True
        else:
            off, number = cv2.distanceTransformWithLabels(
                outside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
            )  # fmt: skip
            owner = np.zeros(int(number.max()) + 1, piece.dtype)
            owner[number[outside == 0]] = piece[outside == 0]
            own = owner[number] == piece
        # Discs count only in their own piece of the area.
        half = np.maximum(half, own * reach * (2 - off * factor / reach).clip(0, 1))
    return half.astype(np.float32)
