"""What codec and denoiser share: a norm, a start at zero, a place in memory."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)
Model = TypeVar("Model", bound=nn.Module)


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each pixel of (B, C, H, W) (Ba et al. 2016).

    No statistics over space, so it neither spreads a local change over the picture, as group norm
    does, nor costs much: channels-last memory makes it a norm over rows.
    """

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def starting_at_zero(layer: Layer) -> Layer:
    """The layer with weights and bias zero, so that what it feeds starts out unchanged by it."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def placed(model: Model, device: torch.device | str) -> Model:
    """The model on `device`, laid out channels-last, the fast way for convolutions on CPU and GPU alike."""
    return model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
