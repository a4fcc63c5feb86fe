"""The one layer that codec and denoiser share."""

from __future__ import annotations

from torch import Tensor, nn


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each pixel of (B, C, H, W) (Ba et al. 2016).

    No statistics over space, so it neither spreads a local change over the picture, as group norm
    does, nor costs much: channels-last memory makes it a norm over rows.
    """

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
