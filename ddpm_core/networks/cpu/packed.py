"""A trained network made ready for use: in the machine's fast type, weights in its kernels' order."""

from __future__ import annotations

import platform
from copy import copy
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from ddpm_core.machine import resolve_precision
from ddpm_core.networks.layers import Conv3x3, Model, NormSiLU, has_few_cells, kernels, neighbourhoods, rows_of
from ddpm_core.networks.unet import ConditionedDenoiser


class PackedConv2d(nn.Module):
    """A convolution on CPU that keeps its weights in oneDNN's order, for every size of map it has met.

    PyTorch reorders them at every call, which for a small latent costs more than the convolution.
    """

    def __init__(self, plain: nn.Conv2d):
        super().__init__()
        self.plain = plain
        self.how = plain.bias, plain.padding, plain.stride, plain.dilation, plain.groups  # as operations take them
        self.packed: dict[torch.Size, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        convolve = torch.ops.mkldnn._convolution_pointwise.default
        return convolve(x, self.packed_for(x), *self.how, "none", [], "")

    def packed_for(self, x: Tensor) -> Tensor:
        """The weights in the order for maps of the size of `x`."""
        size = x.shape[2:]
        weight = self.packed.get(size)
        if weight is None:
            example = (1, *x.shape[1:])  # the order for one picture serves several well
            weight = torch.ops.mkldnn._reorder_convolution_weight(self.plain.weight, *self.how[1:], example)
            self.packed[size] = weight
        return weight


class PackedConv3x3(PackedConv2d):
    """The same of a `Conv3x3`; the sum overwrites the residual, which nobody needs any more."""

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        if residual is None:
            return super().forward(x)
        convolve = torch.ops.mkldnn._convolution_pointwise_.binary
        return convolve(residual, x, self.packed_for(x), *self.how, "add", 1.0, None, [], None)


class PackedByProduct(PackedConv3x3):
    """The same of a convolution cell by cell, or a `Conv3x3` over few cells, as a product in bf16."""

    def __init__(self, plain: nn.Conv2d):
        super().__init__(plain)
        self.by_cell = is_by_cell(plain)
        self.rows: Tensor | None = None

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        if not (self.by_cell or has_few_cells(x)):
            return super().forward(x, residual)
        if self.rows is None:
            self.rows = _in_product_order(rows_of(self.plain))
        cells = x.permute(0, 2, 3, 1) if self.by_cell else neighbourhoods(x)  # (B, H, W, C or 9C)
        h = _product(cells, self.rows, self.how[0]).permute(0, 3, 1, 2)  # (B, out, H, W)
        return h if residual is None else residual + h


def is_by_cell(layer: nn.Conv2d) -> bool:
    """Whether a convolution is a linear layer of each cell."""
    how = layer.kernel_size, layer.stride, layer.padding, layer.groups
    return how == ((1, 1), (1, 1), (0, 0), 1)


class PackedLinear(nn.Module):
    """The same of a linear layer in bf16; a residual is added before rounding."""

    def __init__(self, plain: nn.Linear):
        super().__init__()
        self.plain = plain
        self.affine = _in_product_order(plain.weight), plain.bias

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        if residual is None:
            return _product(x, *self.affine)
        return torch.ops.mkldnn._linear_pointwise.binary(x, residual, *self.affine, "add")


def _in_product_order(weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._reorder_linear_weight(weight)


def _product(x: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise.default(x, packed, bias, "none", [], "")


class CompiledNormSiLU(nn.Module):
    """A `NormSiLU` on CPU as one operation, see `kernels.norm_silu`."""

    def __init__(self, plain: NormSiLU):
        super().__init__()
        self.plain = plain
        self.affine = plain.weight, plain.bias
        self.unchanged = torch.zeros_like(plain.weight).repeat(2)[None, :, None, None]  # (1, 2C, 1, 1)

    def forward(self, x: Tensor, modulation: Tensor | None = None) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        out = torch.empty_like(x)
        batch, channels, height, width = x.shape
        if modulation is None:  # one for all
            sizes, modulation = (1, batch * height * width, channels), self.unchanged
        else:
            sizes, modulation = (batch, height * width, channels), modulation.contiguous()
        compiled = kernels()
        compiled.run(compiled.norm_silu, sizes, *self.affine, modulation, x, out)
        return out


class RememberedModulations:
    """`ConditionedDenoiser.modulations` on CPU, once per timestep and class."""

    def __init__(self, network: ConditionedDenoiser):
        self.compute = network.modulations
        self.of = lru_cache(maxsize=1024)(self._of)  # some kilobytes each, and a thousand steps at most

    def __call__(self, t: Tensor, label: Tensor | None = None) -> Tensor:
        labels = [None] * len(t) if label is None else label.tolist()
        rows = [self.of(*key) for key in zip(t.tolist(), labels, strict=True)]  # (1, sum of 2C, 1, 1) each
        return rows[0] if len(rows) == 1 else torch.cat(rows)

    def _of(self, t: float, label: int | None) -> Tensor:
        return self.compute(torch.tensor([t]), None if label is None else torch.tensor([label]))


def ready(network: Model, device: torch.device) -> Model:
    """The network, itself changed, for inference on `device`, where it already is.

    Weights are in bf16 where that is fast, and on CPUs convolutions and, in bf16, linear layers packed (oneDNN has no
    such order for fp32).
    """
    if resolve_precision("auto", device) == torch.bfloat16:
        network.to(torch.bfloat16)
    if device.type == "cpu":
        for parent in list(network.modules()):
            for name, child in parent.named_children():
                if kind := _faster(child):
                    setattr(parent, name, kind(child))
        if isinstance(network, ConditionedDenoiser):
            network.modulations = RememberedModulations(network)  # type: ignore[method-assign]
    return network


def unpacked(network: Model) -> Model:
    """A copy as before `ready`, in fp32, for gradients with respect to its input; its weights want none."""
    packed = isinstance(network, PackedConv2d | PackedLinear | CompiledNormSiLU)
    plain: Any = copy(network.plain if packed else network)
    plain.__dict__.pop("modulations", None)  # those that a denoiser keeps
    plain._parameters = {
        name: None if one is None else nn.Parameter(one.detach().float(), requires_grad=False)
        for name, one in plain._parameters.items()
    }
    plain._modules = {name: None if child is None else unpacked(child) for name, child in plain._modules.items()}
    return plain


def _faster(layer: nn.Module) -> type[nn.Module] | None:
    if isinstance(layer, NormSiLU):
        return CompiledNormSiLU
    if isinstance(layer, nn.Dropout2d):
        return nn.Identity
    packs = torch.backends.mkldnn.is_available() and platform.machine() in ("x86_64", "AMD64")
    if not packs or not isinstance(layer, nn.Conv2d | nn.Linear):
        return None
    in_bf16 = layer.weight.dtype == torch.bfloat16
    if isinstance(layer, nn.Linear):
        return PackedLinear if in_bf16 else None
    if in_bf16 and (isinstance(layer, Conv3x3) or is_by_cell(layer)):
        return PackedByProduct
    return PackedConv3x3 if isinstance(layer, Conv3x3) else PackedConv2d
