"""What codec and denoiser share: a norm, a convolution, a start at zero, memory layout."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import cache, lru_cache
from types import ModuleType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FEW_CELLS = 16  # in a map: measured, a convolution over more is faster as one

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)
Model = TypeVar("Model", bound=nn.Module)


class ChannelNorm(nn.LayerNorm):
    """Layer norm over each pixel's channels, (B, C, H, W) (Ba et al. 2016): unlike group norm it spreads no local
    change.
    """

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)  # by (B, H, W, C)


class NormSiLU(ChannelNorm):
    """`ChannelNorm`, then a scale and shift if given, then SiLU."""

    def forward(self, x: Tensor, modulation: Tensor | None = None) -> Tensor:
        """(B, C, H, W); `modulation` (B, 2C, 1, 1) holds C scales, less 1, and C shifts."""
        x = super().forward(x)
        if modulation is not None:
            scale, shift = modulation.chunk(2, dim=1)  # (B, C, 1, 1) each
            x = torch.addcmul(shift, x, 1 + scale)
        return F.silu(x)


class Conv3x3(nn.Conv2d):
    """A 3x3 convolution of (B, C, H, W) that keeps its shape; on CPU, over few cells, a matrix product of
    neighbourhoods.
    """

    def __init__(self, channels: int):
        super().__init__(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """(B, C, H, W), plus the residual if given."""
        if x.device.type != "cpu" or not has_few_cells(x):
            h = super().forward(x)
        else:
            h = F.linear(neighbourhoods(x), rows_of(self), self.bias).permute(0, 3, 1, 2)  # (B, C, H, W)
        return h if residual is None else residual + h


class ResidualLinear(nn.Linear):
    """A linear layer whose result is added to a residual, (..., in) and (..., out)."""

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:  # type: ignore[override]
        return residual + super().forward(x)


def rows_of(convolution: nn.Conv2d) -> Tensor:
    """Its weights (out, 9 * in) as `neighbourhoods` meet them; no copy if they are channels-last."""
    return convolution.weight.permute(0, 2, 3, 1).flatten(1)


def has_few_cells(x: Tensor) -> bool:
    """Whether a 3x3 convolution over (B, C, H, W) is faster as one matrix product."""
    return x.shape[2] * x.shape[3] <= FEW_CELLS


def neighbourhoods(x: Tensor) -> Tensor:
    """(B, H, W, 9C) of (B, C, H, W): each cell's 3x3 neighbours row by row, zeros outside."""
    return _Neighbourhoods.apply(x) if x.requires_grad else _gathered(x)


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _neighbours(height: int, width: int) -> Tensor:
    """int64 (H * W * 9): each cell's 3x3 neighbours by number, H * W outside."""
    cells = torch.arange(height * width).view(height, width)  # (H, W)
    numbers = F.pad(cells, (1, 1, 1, 1), value=height * width)  # (H+2, W+2)
    return numbers.unfold(0, 3, 1).unfold(1, 3, 1).flatten()  # (H*W*9,)


def _gathered(x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    cells = F.pad(x.permute(0, 2, 3, 1).flatten(1, 2), (0, 0, 0, 1))  # (B, H*W + 1, C), the last cell zero
    return cells.index_select(1, _neighbours(height, width)).view(batch, height, width, 9 * channels)


class _Neighbourhoods(torch.autograd.Function):
    """One gather; back, nine additions in place, where PyTorch's gradient fills and adds nine maps."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return _gathered(x)

    @staticmethod
    def backward(ctx, grad: Tensor):
        batch, height, width, channels = grad.shape  # of neighbourhoods: 9C channels
        framed = grad.new_zeros(batch, height + 2, width + 2, channels // 9)  # (B, H+2, W+2, C)
        for place, neighbour in enumerate(grad.split(channels // 9, dim=3)):
            i, j = divmod(place, 3)
            framed[:, i : i + height, j : j + width] += neighbour
        return framed[:, 1:-1, 1:-1].permute(0, 3, 1, 2)  # (B, C, H, W)


@cache
def kernels() -> ModuleType:
    """`networks.cpu.kernels`, imported when first needed: numba takes a third of a second."""
    from ddpm_core.networks.cpu import kernels

    return kernels


def reads_apart(module: nn.Module, name: str, apart: Sequence[str]) -> None:
    """Let a module load weights of when its linear layer `name` was several, `apart`, of one input."""

    def join(_: nn.Module, state: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        for kind in ("weight", "bias"):
            keys = [f"{prefix}{old}.{kind}" for old in apart]
            if all(key in state for key in keys):
                state[f"{prefix}{name}.{kind}"] = torch.cat([state.pop(key) for key in keys])

    module.register_load_state_dict_pre_hook(join)


def closing(channels: int, last: nn.Module) -> nn.Sequential:
    """A norm, SiLU and a network's last layer, numbered as files have it."""
    return nn.Sequential(OrderedDict({"0": NormSiLU(channels), "2": last}))


def starting_at_zero(layer: Layer) -> Layer:
    """The layer with weights and bias zero."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def placed(model: Model, device: torch.device | str) -> Model:
    """The model on `device`, channels-last, which is fast for convolutions."""
    return model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
