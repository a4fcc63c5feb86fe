"""A classifier of noisy latents to guide by: small, since every step asks for its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from ddpm_core.networks.layers import NormSiLU, starting_at_zero
from ddpm_core.networks.unet import TimeBlock, timestep_embedding


class NoisyClassifier(nn.Module):
    """log p(class | z_t, t): the way down of a UNet, its mean over places, and scores (Dhariwal & Nichol 2021, section
    4.1).

    Args:
        channels: width per level, finest first; each further level halves the grid.
        blocks: per level.

    Raises:
        ValueError: there are fewer than two classes.
    """

    def __init__(
        self,
        latent_channels: int = 4,
        classes: int = 2,
        channels: Sequence[int] = (32, 64, 96),
        blocks: int = 1,
        dropout: float = 0.1,
    ):
        if classes < 2:
            raise ValueError(f"a classifier tells at least two classes apart, not {classes}")
        super().__init__()
        self.latent_channels, self.classes, self.channels = latent_channels, classes, tuple(channels)
        width = 2 * channels[0]
        self.time = nn.Sequential(nn.Linear(channels[0], width), nn.SiLU(), nn.Linear(width, width))
        self.modulated = [2 * each for each in channels for _ in range(blocks)]
        self.modulate = nn.Linear(width, sum(self.modulated))
        self.input = nn.Conv2d(latent_channels, channels[0], 3, padding=1)
        self.levels = nn.ModuleList(nn.ModuleList(TimeBlock(each, dropout) for _ in range(blocks)) for each in channels)
        self.halve = nn.ModuleList(
            nn.Conv2d(fine, coarse, 3, stride=2, padding=1) for fine, coarse in pairwise(channels)
        )
        self.norm = NormSiLU(channels[-1])
        self.scores = starting_at_zero(nn.Linear(channels[-1], classes))

    def forward(self, noisy: Tensor, t: Tensor) -> Tensor:
        """Log probabilities (B, K) for `noisy` (B, C, h, w) at timesteps `t` (B,)."""
        time = self.time(timestep_embedding(t, self.channels[0]))  # (B, width)
        modulation = self.modulate(F.silu(time))[:, :, None, None]  # (B, sum, 1, 1)
        modulations = iter(modulation.split(self.modulated, dim=1))  # (B, 2 * channels[level], 1, 1) each
        x = self.input(noisy)  # (B, channels[0], h, w)
        for level, blocks in enumerate(self.levels):
            if level:
                x = self.halve[level - 1](x)  # (B, channels[level], h/2^level, w/2^level), rounded up
            for block in blocks:  # type: ignore[attr-defined]
                x = block(x, next(modulations))
        return self.scores(self.norm(x).mean((2, 3))).float().log_softmax(1)  # (B, K)
