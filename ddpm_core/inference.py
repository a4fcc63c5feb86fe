"""A trained network made ready for use: in the machine's fast type, its weights in the order its kernels want them.

Nothing here changes what is computed beyond rounding, and nothing of it can be trained.
"""

from __future__ import annotations

import platform

import torch
from torch import Tensor, nn

from ddpm_core.layers import Model
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
                if isinstance(child, nn.Conv2d):
                    setattr(parent, name, PackedConv2d(child))
                elif isinstance(child, nn.Linear) and child.weight.dtype == torch.bfloat16:
                    setattr(parent, name, PackedLinear(child))
    return network
