"""What codec and denoiser share: a norm, a convolution, a start at zero, a place in memory."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FEW_CELLS = 16  # in a map: measured, a convolution over more is faster as one

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)
Model = TypeVar("Model", bound=nn.Module)


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each pixel of (B, C, H, W) (Ba et al. 2016).

    No statistics over space, so it neither spreads a local change over the picture, as group norm
    does, nor costs much: channels-last memory makes it a norm over rows.
    """

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Conv3x3(nn.Conv2d):
    """A 3x3 convolution of (B, C, H, W) that keeps its shape.

    On CPU, over maps of few cells, it is computed as one matrix product of the cells' neighbourhoods, in training as
    well. That is the same sum in another order; oneDNN's gradient of the weights takes two to four times as long
    there as all of it does so.
    """

    def __init__(self, channels: int):
        super().__init__(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or x.shape[2] * x.shape[3] > FEW_CELLS:
            return super().forward(x)
        rows = self.weight.permute(0, 2, 3, 1).flatten(1)  # channels-last weights lie like this: no copy
        return F.linear(neighbourhoods(x), rows, self.bias).permute(0, 3, 1, 2)


def neighbourhoods(x: Tensor) -> Tensor:
    """(B, H, W, 9C) of (B, C, H, W): each cell's 3x3 neighbours row by row, zeros where there are none."""
    height, width = x.shape[2:]
    framed = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    return torch.cat([framed[:, i : i + height, j : j + width] for i in range(3) for j in range(3)], dim=3)


def starting_at_zero(layer: Layer) -> Layer:
    """The layer with weights and bias zero, so that what it feeds starts out unchanged by it."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def placed(model: Model, device: torch.device | str) -> Model:
    """The model on `device`, laid out channels-last, the fast way for convolutions on CPU and GPU alike."""
    return model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
