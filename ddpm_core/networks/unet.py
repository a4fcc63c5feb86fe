"""The denoiser: a UNet over the latent grid with mixers."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddpm_core.diffusion.prediction import PredictionType
from ddpm_core.errors import lookup, no_such
from ddpm_core.networks.layers import Conv3x3, NormSiLU, closing, reads_apart, starting_at_zero
from ddpm_core.networks.mixers import MIXERS, Mixer
from ddpm_core.networks.text import CrossAttention, TextEncoder

Variance = Literal["fixed", "learned"]
TEXT_WIDTH, TEXT_LAYERS, TEXT_LENGTH = 128, 2, 32  # of what reads captions
TEXT_LEVELS = 2  # the coarsest, which look at the caption


def timestep_embedding(t: Tensor, width: int) -> Tensor:
    """Sines and cosines (B, width) of timesteps `t` (B,) (Vaswani et al. 2017, section 3.5)."""
    angles = t[:, None].float() * _frequencies(width // 2, t.device)  # (B, width/2)
    return torch.cat([angles.sin(), angles.cos()], dim=1)  # (B, width)


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _frequencies(count: int, device: torch.device) -> Tensor:
    """fp32 (count,), geometrically from 1 towards 1/10,000."""
    return torch.exp(-math.log(10_000) * torch.arange(count, device=device) / count)


class TimeBlock(nn.Module):
    """Residual block on (B, C, H, W), modulated by the time (Dhariwal & Nichol 2021, section 4, there group norm).

    Starts as the identity.
    """

    def __init__(self, channels: int, dropout: float):
        super().__init__()
        self.norm1, self.norm2 = NormSiLU(channels), NormSiLU(channels)
        self.conv1, self.conv2 = Conv3x3(channels), starting_at_zero(Conv3x3(channels))
        self.dropout = nn.Dropout2d(dropout)  # whole channels: far fewer random numbers to draw

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        """(B, C, H, W); `modulation` (B, 2C, 1, 1) holds C scales, less 1, and C shifts."""
        h = self.norm2(self.conv1(self.norm1(x)), modulation)  # (B, C, H, W)
        return self.conv2(self.dropout(h), residual=x)


class Stage(nn.Module):
    """Time blocks, then a mixer and, with a `text_width`, a look at the caption, at one resolution."""

    def __init__(self, channels: int, blocks: int, mixer: Mixer, dropout: float, text_width: int = 0):
        super().__init__()
        self.blocks = nn.ModuleList(TimeBlock(channels, dropout) for _ in range(blocks))  # all (B, C, H, W)
        self.mixer = lookup(MIXERS, "mixer", mixer)(channels)
        self.cross_attention = CrossAttention(channels, text_width) if text_width else None

    def forward(self, x: Tensor, modulations: Iterator[Tensor], encoder_hidden_states: Tensor | None = None) -> Tensor:
        for block in self.blocks:
            x = block(x, next(modulations))
        x = self.mixer(x)
        if self.cross_attention is None or encoder_hidden_states is None:
            return x
        return self.cross_attention.of_map(x, encoder_hidden_states)


class Denoiser(nn.Module, ABC):
    """A network that tells noise from picture in a noisy latent; subclasses define `forward`.

    Attributes:
        prediction: what its output means, see `prediction.training_target`.
        classes, null_class: how many it knows, or 0; the label of "no class", or None.
        text: reads captions, or None.
        patch: latents' sides have to be multiples of this many cells.
        conditioning_channels: K behind the latent's own (`diffusion.concatenation`), or 0.
    """

    patch = 1
    conditioning_channels = 0

    def __init__(self, latent_channels: int, prediction: PredictionType, classes: int, null_class: int | None):
        super().__init__()
        self.latent_channels, self.prediction = latent_channels, prediction
        self.classes, self.null_class = classes, null_class
        self.text: TextEncoder | None = None

    @abstractmethod
    def forward(
        self,
        noisy: Tensor,
        t: Tensor,
        label: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
    ) -> Tensor:
        """The raw output (B, C, h, w), or (B, 2C, h, w) with a learned variance (see `prediction.split_variance`).

        Args:
            noisy, t: (B, C + K, h, w) at timesteps (B,).
            label: (B,) from 0 to `classes`, the last for "no class", as is None.
            encoder_hidden_states: (B, L, W) that `text` made of captions; None for null captions.
        """


class ConditionedDenoiser(Denoiser):
    """One whose blocks learn of timestep and class by one linear layer, `modulate`, which subclasses add.

    Args:
        variance: "learned" doubles the output's channels.
        time_features, time_width: of the timestep's sines and cosines, and of what is made of them.
        words: how many it knows, or 0.

    Raises:
        ValueError: there is no such prediction type or variance, or a number is too low.
    """

    modulate: nn.Linear

    def __init__(
        self,
        latent_channels: int,
        prediction: PredictionType,
        classes: int,
        variance: Variance,
        time_features: int,
        time_width: int,
        words: int = 0,
        text_width: int = TEXT_WIDTH,
        text_layers: int = TEXT_LAYERS,
        text_length: int = TEXT_LENGTH,
        conditioning_channels: int = 0,
    ):
        if prediction not in get_args(PredictionType):
            raise no_such("prediction type", prediction, get_args(PredictionType))
        if variance not in get_args(Variance):
            raise no_such("variance", variance, get_args(Variance))
        if classes < 0:
            raise ValueError(f"there cannot be {classes} classes")
        if conditioning_channels < 0:
            raise ValueError(f"there cannot be {conditioning_channels} conditioning channels")
        if words < 0 or (words and min(text_width, text_layers, text_length) < 1):
            raise ValueError(f"{words} words cannot be read by {text_layers} layers of {text_width} channels")
        super().__init__(latent_channels, prediction, classes, null_class=classes or None)
        self.conditioning_channels = conditioning_channels
        self.output_channels = latent_channels * (2 if variance == "learned" else 1)
        self.time_features = time_features
        self.time = nn.Sequential(nn.Linear(time_features, time_width), nn.SiLU(), nn.Linear(time_width, time_width))
        self.label = nn.Embedding(classes + 1, time_width) if classes else None
        if words:
            self.text = TextEncoder(words, text_width, text_layers, text_length)

    def modulations(self, t: Tensor, label: Tensor | None = None) -> Tensor:
        """What all blocks in turn are told for `t` (B,) and `label` (B,): (B, sum, 1, 1)."""
        embedding = timestep_embedding(t, self.time_features)  # (B, time_features)
        time = self.time(embedding.to(next(self.parameters()).dtype))  # (B, time_width)
        if self.label is not None:
            time = time + self.label(torch.full_like(t, self.classes) if label is None else label)
        return self.modulate(F.silu(time))[:, :, None, None]  # (B, sum, 1, 1)

    def captions(self, encoder_hidden_states: Tensor | None, count: int) -> Tensor | None:
        """(count, L, W), null captions where none are given; None for a network without words."""
        if self.text is None:
            return None
        return self.text.null_captions(count) if encoder_hidden_states is None else encoder_hidden_states


class UNet(ConditionedDenoiser):
    """A denoiser at all resolutions at once (Ronneberger et al. 2015); other arguments are `ConditionedDenoiser`'s.

    Down, each level is a `Stage`, then a halving; up, a 1x1 convolution joins the coarser result and the skip
    connection.

    Args:
        channels: width per level, finest first, multiples of 32; each further level halves the grid.
        blocks: time blocks per level and direction.
        dropout: fraction of channels dropped in training.
        classes: their embeddings and that of "no class" are added to the time's (Nichol & Dhariwal 2021, section 4; Ho
            & Salimans 2022, section 3.2).
        text_levels: how many of the coarsest levels look at the caption.

    Raises:
        ValueError: there is no such mixer, prediction type or variance, or a number is too low.
    """

    def __init__(
        self,
        latent_channels: int = 4,
        channels: Sequence[int] = (128, 256, 384),
        blocks: int = 2,
        mixer: Mixer = "serpentine",
        dropout: float = 0.1,
        prediction: PredictionType = "v",
        classes: int = 0,
        variance: Variance = "fixed",
        words: int = 0,
        text_width: int = TEXT_WIDTH,
        text_layers: int = TEXT_LAYERS,
        text_length: int = TEXT_LENGTH,
        text_levels: int = TEXT_LEVELS,
        conditioning_channels: int = 0,
    ):
        more = words, text_width, text_layers, text_length, conditioning_channels
        super().__init__(latent_channels, prediction, classes, variance, channels[0], 2 * channels[0], *more)
        self.channels, self.halvings = tuple(channels), len(channels) - 1

        def stage(level: int) -> Stage:
            reads = words and level >= len(channels) - text_levels
            return Stage(channels[level], blocks, mixer, dropout, text_width if reads else 0)

        self.input = nn.Conv2d(latent_channels + conditioning_channels, channels[0], 3, padding=1)
        self.down = nn.ModuleList(map(stage, range(len(channels))))
        self.halve = nn.ModuleList(
            nn.Conv2d(fine, coarse, 3, stride=2, padding=1) for fine, coarse in pairwise(channels)
        )
        self.widen = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for fine, coarse in pairwise(channels))
        self.fuse = nn.ModuleList(nn.Conv2d(2 * width, width, 1) for width in channels[:-1])
        self.up = nn.ModuleList(map(stage, range(self.halvings)))
        turns = [("down", level) for level in range(len(channels))]
        turns += [("up", level) for level in reversed(range(self.halvings))]
        self.modulated = [2 * channels[level] for _, level in turns for _ in range(blocks)]
        self.modulate = nn.Linear(2 * channels[0], sum(self.modulated))  # for all blocks at once, in their turn
        reads_apart(self, "modulate", [f"{way}.{level}.blocks.{n}.time" for way, level in turns for n in range(blocks)])
        last = starting_at_zero(nn.Conv2d(channels[0], self.output_channels, 3, padding=1))
        self.output = closing(channels[0], last)

    def forward(
        self,
        noisy: Tensor,
        t: Tensor,
        label: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
    ) -> Tensor:
        """The raw output (B, C or 2C, h, w); see `Denoiser.forward`."""
        modulation, captions = self.modulations(t, label), self.captions(encoder_hidden_states, len(noisy))
        modulations = iter(modulation.split(self.modulated, dim=1))  # (B, 2 * channels[level], 1, 1) each
        x = self.input(noisy.to(modulation.dtype))  # (B, channels[0], h, w)
        skips = []
        for level, stage in enumerate(self.down):
            x = stage(x, modulations, captions)  # (B, channels[level], h/2^level, w/2^level), rounded up
            if level < self.halvings:
                skips.append(x)
                x = self.halve[level](x)  # (B, channels[level + 1], h/2^(level+1), …)
        for level in reversed(range(self.halvings)):
            skip = skips[level]
            x = F.interpolate(self.widen[level](x), size=skip.shape[2:], mode="nearest")  # as the skip connection
            x = self.up[level](self.fuse[level](torch.cat([x, skip], dim=1)), modulations, captions)
        return self.output(x).float()  # (B, C or 2C, h, w)
