"""Pictures with less resolution than they have pixels, as an enlarging model is given them."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def enlarged_bicubically(image: Tensor, factor: int) -> Tensor:
    """Pictures (B, 3, H, W) in [-1, 1], (B, 3, factor H, factor W)."""
    # With antialias, which matters not for what grows, the cubic is Pillow's (Keys 1981, a = -0.5).
    return F.interpolate(image, scale_factor=factor, mode="bicubic", antialias=True).clamp(-1, 1)


def reduced(image: Tensor, factor: int) -> Tensor:
    """Pictures (B, 3, H, W) in [-1, 1] at 1/factor of the size, which has to be whole, in 8 bits as if saved."""
    height, width = image.shape[2:]
    small = F.interpolate(image, (height // factor, width // factor), mode="bicubic", antialias=True)  # (B, 3, h, w)
    return ((small.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1


def low_resolution(image: Tensor, factor: int) -> Tensor:
    """Pictures (B, 3, H, W) in [-1, 1], `reduced` and brought back to their size."""
    return enlarged_bicubically(reduced(image, factor), factor)
