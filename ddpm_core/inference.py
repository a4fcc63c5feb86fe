"""A trained network made ready for use: in the machine's fast type, its weights in the order its kernels want them.

Nothing here changes what is computed beyond rounding, and nothing of it can be trained.
"""

from __future__ import annotations

import platform

import torch
from torch import Tensor, nn

from ddpm_core.layers import Conv3x3, Model, has_few_cells, neighbourhoods
from ddpm_core.precision import resolve_precision


class PackedConv2d(nn.Module):
    """A convolution on CPU that keeps its weights in the order oneDNN works in, for every size of map it has met.

    PyTorch reorders them at every call otherwise, which for one small latent costs more than the convolution does.
    The two operations are those `torch.compile` emits, without its minute of compiling.
    """

    def __init__(self, plain: nn.Conv2d):
        super().__init__()
        self.plain = plain
        self.packed: dict[torch.Size, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        conv = self.plain
        how = conv.padding, conv.stride, conv.dilation, conv.groups
        weight = self.packed.get(x.shape[2:])
        if weight is None:
            example = (1, *x.shape[1:])  # the order for one picture serves several well
            weight = torch.ops.mkldnn._reorder_convolution_weight(conv.weight, *how, example)
            self.packed[x.shape[2:]] = weight
        return torch.ops.mkldnn._convolution_pointwise(x, weight, conv.bias, *how, "none", [], "")


class PackedConv3x3(PackedConv2d):
    """The same of a `Conv3x3`, which over few cells is a packed matrix product. Made for bf16."""

    def __init__(self, plain: Conv3x3):
        super().__init__(plain)
        self.rows: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not has_few_cells(x):
            return super().forward(x)
        if self.rows is None:
            self.rows = torch.ops.mkldnn._reorder_linear_weight(self.plain.rows)
        product = torch.ops.mkldnn._linear_pointwise(neighbourhoods(x), self.rows, self.plain.bias, "none", [], "")
        return product.permute(0, 3, 1, 2)


class PackedLinear(nn.Module):
    """The same of a linear layer, whose order of weights serves any number of rows. Made for bf16."""

    def __init__(self, plain: nn.Linear):
        super().__init__()
        self.plain = plain
        self.packed: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.packed is None:
            self.packed = torch.ops.mkldnn._reorder_linear_weight(self.plain.weight)
        return torch.ops.mkldnn._linear_pointwise(x, self.packed, self.plain.bias, "none", [], "")


IN_BF16 = {Conv3x3: PackedConv3x3, nn.Conv2d: PackedConv2d, nn.Linear: PackedLinear}  # the first that fits


def ready(network: Model, device: torch.device) -> Model:
    """The network, itself changed, for inference on `device`, where it already is.

    Weights are in bf16 where the machine is fast in it, convolutions are packed where oneDNN has them. So are linear
    layers in bf16; in fp32 PyTorch multiplies by another library, which has no such order.
    """
    if resolve_precision("auto", device) == torch.bfloat16:
        network.to(torch.bfloat16)
    if device.type == "cpu" and torch.backends.mkldnn.is_available() and platform.machine() in ("x86_64", "AMD64"):
        for parent in list(network.modules()):
            for name, child in parent.named_children():
                if kind := _packing(child):
                    setattr(parent, name, kind(child))
    return network


def _packing(layer: nn.Module) -> type[nn.Module] | None:
    """What to put in the place of a layer, if anything."""
    if not isinstance(layer, nn.Conv2d | nn.Linear):
        return None
    if layer.weight.dtype == torch.bfloat16:
        return next(packing for kind, packing in IN_BF16.items() if isinstance(layer, kind))
    return PackedConv2d if isinstance(layer, nn.Conv2d) else None
