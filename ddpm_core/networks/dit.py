"""A denoiser without convolutions over neighbours: a transformer over the cells of the latent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddpm_core.diffusion.prediction import PredictionType
from ddpm_core.errors import lookup
from ddpm_core.networks.layers import starting_at_zero
from ddpm_core.networks.mixers import attend, heads_of
from ddpm_core.networks.serpentine import scan, spread_time_scales
from ddpm_core.networks.text import CrossAttention
from ddpm_core.networks.unet import (
    TEXT_LAYERS,
    TEXT_LENGTH,
    TEXT_WIDTH,
    ConditionedDenoiser,
    Variance,
    timestep_embedding,
)

if TYPE_CHECKING:
    from ddpm_core.networks.mixers import Mixer

TIME_FEATURES = 256
MLP_RATIO = 4


class SelfAttention(nn.Module):
    """Multi-head self-attention over tokens (B, H*W, C)."""

    def __init__(self, channels: int):
        super().__init__()
        self.heads = heads_of(channels)
        self.query_key_value = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        return self.out(attend(self.query_key_value(tokens), self.heads))


class SerpentineScan(nn.Module):
    """The eight serpentine paths over tokens (B, H*W, C)."""

    def __init__(self, channels: int):
        super().__init__()
        self.project = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        spread_time_scales(self.project)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        return self.out(scan(self.project(tokens), height, width))


# Without one, every cell would be alone.
TOKEN_MIXERS: dict[str, Callable[[int], nn.Module]] = {"attention": SelfAttention, "serpentine": SerpentineScan}


class DiTBlock(nn.Module):
    """Tokens mixed, then each by itself, scaled, shifted and gated by the time (adaLN-Zero, Peebles & Xie 2023, section
    3.2).

    With a `text_width`, in between each looks at the caption (Chen et al. 2023, "PixArt-alpha", section 2.3).
    """

    def __init__(self, channels: int, mixer: str, dropout: float, text_width: int = 0):
        super().__init__()
        self.mixer = lookup(TOKEN_MIXERS, "mixer of a DiT", mixer)(channels)
        wide = MLP_RATIO * channels
        self.mlp = nn.Sequential(nn.Linear(channels, wide), nn.GELU("tanh"), nn.Linear(wide, channels))
        self.dropout = nn.Dropout(dropout)
        self.cross_attention = CrossAttention(channels, text_width) if text_width else None

    def forward(
        self, tokens: Tensor, modulation: Tensor, height: int, width: int, encoder_hidden_states: Tensor | None = None
    ) -> Tensor:
        """(B, H*W, C); `modulation` (B, 1, 6C): shift, scale less 1 and gate of mixer, then MLP."""
        shift, scale, gate, shift2, scale2, gate2 = modulation.chunk(6, dim=2)  # (B, 1, C) each
        mixed = self.mixer(modulated(tokens, shift, scale), height, width)  # (B, H*W, C)
        tokens = torch.addcmul(tokens, gate, self.dropout(mixed))
        if self.cross_attention is not None and encoder_hidden_states is not None:
            tokens = self.cross_attention(tokens, encoder_hidden_states)  # (B, H*W, C)
        return torch.addcmul(tokens, gate2, self.dropout(self.mlp(modulated(tokens, shift2, scale2))))


def modulated(tokens: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Tokens (B, N, C) normalised, scaled by 1 + `scale` and shifted, both (B, 1, C)."""
    return torch.addcmul(shift, F.layer_norm(tokens, tokens.shape[2:], eps=1e-6), 1 + scale)


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def positions(height: int, width: int, channels: int, device: torch.device) -> Tensor:
    """fp32 sines and cosines (1, height*width, C) of each cell's row and column (Peebles & Xie 2023, section 3.2)."""
    rows, columns = (timestep_embedding(torch.arange(n, device=device), channels // 2) for n in (height, width))
    by_row = rows[:, None].expand(-1, width, -1)  # (h, w, C/2)
    return torch.cat([by_row, columns[None].expand(height, -1, -1)], dim=2).flatten(0, 1)[None]


class DiT(ConditionedDenoiser):
    """A diffusion transformer (Peebles & Xie 2023, adaLN-Zero); other arguments are `UNet`'s.

    Args:
        channels: its width, one number, a multiple of 8.
        mixer: of `TOKEN_MIXERS`; "attention" is theirs.
        patch: side of a token, in cells; latents have to be a multiple of it.

    Raises:
        ValueError: there is no such mixer, prediction type or variance, or a number cannot be.
    """

    def __init__(
        self,
        latent_channels: int = 4,
        channels: Sequence[int] = (384,),
        blocks: int = 12,
        mixer: Mixer = "attention",
        dropout: float = 0.0,
        prediction: PredictionType = "v",
        classes: int = 0,
        variance: Variance = "fixed",
        patch: int = 1,
        words: int = 0,
        text_width: int = TEXT_WIDTH,
        text_layers: int = TEXT_LAYERS,
        text_length: int = TEXT_LENGTH,
        conditioning_channels: int = 0,
    ):
        if len(channels) != 1 or channels[0] % 8:
            raise ValueError(f"a DiT has one width, a multiple of 8, not {', '.join(map(str, channels))}")
        (width,) = channels
        more = words, text_width, text_layers, text_length, conditioning_channels
        super().__init__(latent_channels, prediction, classes, variance, TIME_FEATURES, width, *more)
        self.channels = tuple(channels)
        self.patch = patch
        self.input = nn.Conv2d((latent_channels + conditioning_channels) * patch**2, width, 1)
        self.blocks = nn.ModuleList(DiTBlock(width, mixer, dropout, text_width if words else 0) for _ in range(blocks))
        self.modulate = starting_at_zero(nn.Linear(width, (6 * blocks + 2) * width))  # for all blocks, and the end
        self.output = starting_at_zero(nn.Conv2d(width, self.output_channels * patch**2, 1))

    def forward(
        self,
        noisy: Tensor,
        t: Tensor,
        label: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
    ) -> Tensor:
        """The raw output (B, C or 2C, h, w); see `Denoiser.forward`."""
        captions = self.captions(encoder_hidden_states, len(noisy))  # (B, L, W) or None
        modulation = self.modulations(t, label).flatten(1).unsqueeze(1)  # (B, 1, sum)
        *each, shift, scale = modulation.split([6 * self.channels[0]] * len(self.blocks) + [self.channels[0]] * 2, 2)
        x = self.input(F.pixel_unshuffle(noisy, self.patch).to(modulation.dtype))  # (B, width, h/patch, w/patch)
        height, width = x.shape[2:]
        tokens = x.flatten(2).transpose(1, 2)  # (B, N, width)
        tokens = tokens + positions(height, width, self.channels[0], x.device).to(tokens.dtype)
        for block, of_block in zip(self.blocks, each, strict=True):
            tokens = block(tokens, of_block, height, width, captions)  # (B, N, width)
        x = modulated(tokens, shift, scale).transpose(1, 2).unflatten(2, (height, width))  # as x above
        return F.pixel_shuffle(self.output(x), self.patch).float()  # (B, C or 2C, h, w)
