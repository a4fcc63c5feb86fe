"""Mixers, by which far cells see each other; a new one is a class and a line in `MIXERS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from ddpm_core.networks.layers import starting_at_zero
from ddpm_core.networks.serpentine import SerpentineMixer


class AttentionMixer(nn.Module):
    """Multi-head self-attention over all cells of (B, C, H, W), for comparison; starts as the identity."""

    def __init__(self, channels: int, head_size: int = 64):
        super().__init__()
        self.heads = heads_of(channels, head_size)
        self.norm = nn.LayerNorm(channels)
        self.query_key_value = nn.Linear(channels, 3 * channels)
        self.out = starting_at_zero(nn.Linear(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        tokens = self.norm(x.permute(0, 2, 3, 1).reshape(batch, height * width, channels))  # (B, H*W, C)
        mixed = attend(self.query_key_value(tokens), self.heads)  # (B, H*W, C)
        return x + self.out(mixed).view(batch, height, width, channels).permute(0, 3, 1, 2)  # (B, C, H, W)


def heads_of(channels: int, head_size: int = 64) -> int:
    """How many heads of about `head_size` channels."""
    return next(n for n in range(max(1, channels // head_size), 0, -1) if channels % n == 0)


def attend(query_key_value: Tensor, heads: int) -> Tensor:
    """Scaled dot-product attention (B, N, C) by (B, N, 3C) (Vaswani et al. 2017, section 3.2)."""
    query, key, value = query_key_value.unflatten(2, (3, heads, -1)).permute(2, 0, 3, 1, 4)  # (B, heads, N, C/heads)
    return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)  # (B, N, C)


# By the name that `config.json` has: from C, a module of (B, C, H, W) that keeps the shape and starts as the identity.
MIXERS: dict[str, Callable[[int], nn.Module]] = {
    "serpentine": SerpentineMixer,
    "attention": AttentionMixer,
    "none": lambda channels: nn.Identity(),
}

if TYPE_CHECKING:
    Mixer = str
else:
    Mixer = Literal[tuple(MIXERS)]
