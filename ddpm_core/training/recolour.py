"""Pictures in another light, so that a fill learns to match what is kept, not what most pictures look like."""

from __future__ import annotations

import torch
from torch import Tensor

# Deviations of what is drawn for a picture, most of them of a logarithm: enough to cover photos taken at dusk, under
# lamps or through filters, and seldom so much that what is shown cannot be made out.
GAMMA, LIGHT, TINT, SATURATION, CONTRAST = 0.35, 0.15, 0.12, 0.35, 0.2
DRAWN = 7  # numbers for a picture


def recolour(image: Tensor, seeds: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) in [-1, 1], each in a light and colour of its own, by its seed in `seeds` (B,)."""
    draw = [torch.randn(DRAWN, generator=torch.Generator().manual_seed(seed)) for seed in seeds.tolist()]
    gamma, light, red, green, blue, saturation, contrast = torch.stack(draw, 1)[..., None, None, None]  # (B, 1, 1, 1)
    tint = torch.cat([red, green, blue], 1)  # (B, 3, 1, 1)
    unit = ((image + 1) / 2).clamp(0, 1) ** (GAMMA * gamma).exp()  # (B, 3, H, W)
    unit = unit * (LIGHT * light + TINT * tint).exp()
    grey = unit.mean(1, keepdim=True)  # (B, 1, H, W)
    unit = grey + (unit - grey) * (SATURATION * saturation).exp().clamp_max(2)
    middle = unit.mean((1, 2, 3), keepdim=True)  # (B, 1, 1, 1)
    unit = middle + (unit - middle) * (CONTRAST * contrast).exp()
    return unit.clamp(0, 1) * 2 - 1
