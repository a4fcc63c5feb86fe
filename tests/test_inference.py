"""A network made ready computes what the plain one does."""

from __future__ import annotations

import copy

import pytest
import torch

from ddpm_core import inference
from ddpm_core.inference import PackedConv2d, PackedConv3x3, PackedLinear, ready
from ddpm_core.layers import Conv3x3, placed
from ddpm_core.unet import UNet

CPU = torch.device("cpu")


@pytest.fixture
def unet(shaken) -> UNet:
    return placed(shaken(UNet(latent_channels=4, channels=(32, 64), blocks=1, dropout=0.0)), CPU).eval()


def difference(one: UNet, other: UNet, batch: int = 2, cells: int = 8) -> float:
    """Root mean square of the difference of two networks' outputs, over that of the first's own."""
    noisy = torch.randn(batch, 4, cells, cells, generator=torch.Generator().manual_seed(1))
    t = torch.linspace(1, 999, batch).long()
    with torch.inference_mode():
        expected, got = (net(noisy.to(memory_format=torch.channels_last), t) for net in (one, other))
    assert got.dtype == torch.float32
    return ((got - expected).square().mean() / expected.square().mean()).sqrt().item()


def test_packed_weights_change_nothing_but_rounding_whatever_the_batch_and_size(
    unet: UNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "resolve_precision", lambda precision, device: torch.float32)
    packed = ready(copy.deepcopy(unet), CPU)
    if torch.backends.mkldnn.is_available():
        assert any(isinstance(module, PackedConv2d) for module in packed.modules())
    for batch, cells in ((1, 8), (3, 8), (2, 12), (1, 8)):
        assert difference(unet, packed, batch, cells) < 1e-5


def test_bf16_is_near(unet: UNet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "resolve_precision", lambda precision, device: torch.bfloat16)
    half = ready(copy.deepcopy(unet), CPU)
    assert {parameter.dtype for parameter in half.parameters()} == {torch.bfloat16}
    assert 0 < difference(unet, half) < 0.03


def test_packed_linear_layers_are_exactly_the_plain_ones(unet: UNet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "resolve_precision", lambda precision, device: torch.bfloat16)
    packed = ready(copy.deepcopy(unet), CPU)
    if torch.backends.mkldnn.is_available():
        assert any(isinstance(module, PackedLinear) for module in packed.modules())
    monkeypatch.setattr(inference, "PackedLinear", lambda layer: layer)
    plain = ready(copy.deepcopy(unet), CPU)
    for batch, cells in ((1, 8), (3, 8), (2, 12), (1, 8)):
        assert difference(plain, packed, batch, cells) == 0


@pytest.mark.parametrize("side", [2, 4, 5])
def test_a_packed_convolution_of_few_cells_is_the_plain_one_to_rounding(side: int) -> None:
    plain = placed(Conv3x3(32).to(torch.bfloat16), CPU)
    x = torch.randn(3, 32, side, side, dtype=torch.bfloat16).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        torch.testing.assert_close(PackedConv3x3(plain)(x), plain(x), rtol=0.02, atol=0.02)


def test_no_parameter_is_lost_or_counted_twice(unet: UNet) -> None:
    counts = [sum(p.numel() for p in network.parameters()) for network in (unet, ready(copy.deepcopy(unet), CPU))]
    assert counts[0] == counts[1]
