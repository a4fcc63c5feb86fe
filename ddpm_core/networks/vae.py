"""The learned codec: a variational autoencoder whose decoder is strictly local.

Repainting a cell changes pixels near it alone: no attention, pooling or statistics over space. The encoder may look
anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddpm_core.networks.codec import Codec
from ddpm_core.networks.layers import ChannelNorm, NormSiLU, closing, starting_at_zero


class SqueezeExcitation(nn.Module):
    """Scales channels by what the whole picture contains (Hu et al. 2018, eqs. 2-4)."""

    def __init__(self, channels: int, reduction: int = 4):
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // reduction)
        self.excite = nn.Linear(channels // reduction, channels)

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.sigmoid(self.excite(F.silu(self.squeeze(x.mean((2, 3))))))  # (B, C)
        return x * scale[:, :, None, None]  # (B, C, H, W)


class ResidualBlock(nn.Module):
    """Two convolutions of `kernel` 1 or 3 on (B, C, H, W), added to the input; starts as the identity.

    `squeeze` looks at the whole picture: for encoders only.
    """

    def __init__(self, channels: int, kernel: int = 3, squeeze: bool = False):
        super().__init__()
        self.norm1, self.norm2 = NormSiLU(channels), NormSiLU(channels)
        self.conv1 = nn.Conv2d(channels, channels, kernel, padding=kernel // 2)
        self.conv2 = starting_at_zero(nn.Conv2d(channels, channels, kernel, padding=kernel // 2))
        self.squeeze = SqueezeExcitation(channels) if squeeze else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(self.norm2(self.conv1(self.norm1(x))))  # (B, C, H, W)
        return x + self.squeeze(h)  # (B, C, H, W)


class Encoder(nn.Module):
    """(B, 3, H, W) -> (B, 2*latent_channels, H/stride, W/stride): posterior mean and log-variance."""

    def __init__(self, channels: Sequence[int], blocks: int, latent_channels: int):
        super().__init__()
        layers: list[nn.Module] = []
        previous = 3
        for width in channels:
            layers += [nn.PixelUnshuffle(2), nn.Conv2d(4 * previous, width, 3, padding=1)]  # (B, width, H/2, W/2)
            layers += [ResidualBlock(width, squeeze=True) for _ in range(blocks)]
            previous = width
        self.layers = nn.Sequential(*layers)
        self.out = nn.Sequential(ChannelNorm(previous), nn.Conv2d(previous, 2 * latent_channels, 1))

    def forward(self, image: Tensor) -> Tensor:
        return self.out(self.layers(image))


class Decoder(nn.Module):
    """(B, latent_channels, h, w) -> (B, 3, h*stride, w*stride): 1x1 kernels on the latent grid, 3x3 above."""

    def __init__(self, channels: Sequence[int], blocks: int, latent_channels: int, full_width: int):
        super().__init__()
        widths = [*reversed(channels), full_width]
        layers: list[nn.Module] = [nn.Conv2d(latent_channels, widths[0], 1)]
        layers += [ResidualBlock(widths[0], kernel=1) for _ in range(blocks + 1)]
        for doubling, (width, finer) in enumerate(pairwise(widths), 1):
            layers += [nn.Conv2d(width, 4 * finer, 1), nn.PixelShuffle(2)]  # (B, finer, 2h, 2w)
            layers += [ResidualBlock(finer) for _ in range(blocks if doubling < len(channels) else 1)]
        self.layers = nn.Sequential(*layers)
        self.out = closing(full_width, nn.Conv2d(full_width, 3, 3, padding=1))

    def forward(self, latent: Tensor) -> Tensor:
        return self.out(self.layers(latent))


class VAE(Codec):
    """Variational autoencoder (Kingma & Welling 2014), the learned codec.

    Args:
        channels: width at each halving, finest first.
        encoder_blocks, decoder_blocks: residual blocks after each halving, and each doubling but the last, which has
            one.
        full_width: width of the decoder at full resolution.
    """

    def __init__(
        self,
        latent_channels: int = 4,
        channels: Sequence[int] = (64, 128, 192),
        encoder_blocks: int = 1,
        decoder_blocks: int = 2,
        full_width: int = 32,
    ):
        super().__init__(latent_channels, stride=2 ** len(channels))
        self.encoder = Encoder(channels, encoder_blocks, latent_channels)
        self.decoder = Decoder(channels, decoder_blocks, latent_channels, full_width)

    def moments(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean and log-variance (B, C, h, w), not normalised, of `image` (B, 3, H, W) in [-1, 1]."""
        mean, log_variance = self.encoder(image).float().chunk(2, dim=1)  # (B, C, H/stride, W/stride) each
        return mean, log_variance.clamp(-20, 10)

    def means(self, image: Tensor) -> Tensor:
        return self.moments(image)[0]

    def restored(self, latent: Tensor) -> Tensor:
        return self.decoder(latent)
