"""A network made ready computes what the plain one does."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ddpm_core.networks.cpu import packed as inference
from ddpm_core.networks.cpu.packed import (
    CompiledNormSiLU,
    PackedByProduct,
    PackedConv2d,
    PackedConv3x3,
    PackedLinear,
    ready,
    unpacked,
)
from ddpm_core.networks.layers import Conv3x3, NormSiLU, ResidualLinear, placed
from ddpm_core.networks.unet import UNet

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


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="packed by oneDNN, which this PyTorch lacks")
@pytest.mark.parametrize("rows", [1, 7, 64])
def test_a_packed_linear_layer_is_exactly_the_plain_one_and_rounds_a_sum_once(rows: int) -> None:
    plain, x, residual = ResidualLinear(48, 48).to(torch.bfloat16), *torch.randn(2, 2, rows, 48).bfloat16().unbind()
    packed = PackedLinear(plain)
    with torch.inference_mode():
        assert torch.equal(packed(x), nn.functional.linear(x, plain.weight, plain.bias))
        got = packed(x, residual)
        exact = plain.double()(x.double(), residual.double())
    torch.testing.assert_close(got.double(), exact, rtol=2**-8, atol=1e-5)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="packed by oneDNN, which this PyTorch lacks")
@pytest.mark.parametrize("add", [False, True], ids=["alone", "onto a residual"])
@pytest.mark.parametrize("side", [1, 2, 4, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_packed_3x3_convolution_is_the_plain_one_to_rounding(side: int, dtype: torch.dtype, add: bool) -> None:
    plain = placed(Conv3x3(32).to(dtype), CPU)
    packed = PackedByProduct(plain) if dtype == torch.bfloat16 else PackedConv3x3(plain)
    x, residual = torch.randn(2, 3, 32, side, side, dtype=dtype).unbind()
    x, residual = (each.to(memory_format=torch.channels_last) for each in (x, residual))
    close = {"rtol": 0.02, "atol": 0.02} if dtype == torch.bfloat16 else {"rtol": 1e-5, "atol": 1e-5}
    with torch.inference_mode():
        expected = plain(x, residual.clone() if add else None)
        torch.testing.assert_close(packed(x, residual if add else None), expected, **close)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="packed by oneDNN, which this PyTorch lacks")
@pytest.mark.parametrize("laid_out", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("more", [{}, {"stride": 2}, {"groups": 4}, {"padding": 1}], ids=str)
def test_a_packed_1x1_convolution_is_the_plain_one_to_rounding(
    more: dict[str, int], laid_out: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "resolve_precision", lambda precision, device: torch.bfloat16)
    plain = nn.Sequential(nn.Conv2d(24, 40, 1, **more)).to(torch.bfloat16)
    x = torch.randn(3, 24, 5, 7, dtype=torch.bfloat16).to(memory_format=laid_out)
    packed = ready(copy.deepcopy(plain), CPU)
    assert isinstance(packed[0], PackedByProduct if not more else PackedConv2d)
    with torch.inference_mode():
        got, expected = packed(x), plain(x)
    torch.testing.assert_close(got, expected, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("modulated", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 128, 16, 16), (3, 24, 5, 7), (2, 5, 1, 1), (1, 1, 2, 3)])
def test_norm_scale_shift_and_silu_in_one_are_those_of_pytorch(
    shape: tuple[int, int, int, int], dtype: torch.dtype, modulated: bool
) -> None:
    plain, x = NormSiLU(shape[1]), 3 * torch.randn(shape) + 40  # a mean that would swallow a careless variance
    for parameter in plain.parameters():
        nn.init.normal_(parameter)
    modulation = torch.randn(shape[0], 2 * shape[1] + 6, 1, 1)[:, 3:-3] if modulated else None
    plain, x = plain.to(dtype), x.to(dtype)
    modulation = modulation if modulation is None else modulation.to(dtype)
    with torch.inference_mode():
        got = CompiledNormSiLU(plain)(x, modulation)
        exact = plain.double()(x.double(), modulation if modulation is None else modulation.double())
    assert got.dtype == dtype
    close = {"rtol": 2**-8, "atol": 1e-3} if dtype == torch.bfloat16 else {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(got.double(), exact, **close)


def test_norm_and_silu_in_one_hold_for_numbers_of_any_size() -> None:
    plain = NormSiLU(2)  # of two numbers it makes -1 and 1, or what a weight makes of them
    for size in (1e-20, 1e-3, 1, 20, 80, 1e3, 1e30):
        nn.init.constant_(plain.weight, size)
        x = torch.tensor([[-1000.0, 1000.0]])[..., None, None]
        with torch.inference_mode():
            torch.testing.assert_close(CompiledNormSiLU(plain)(x), plain(x), rtol=1e-6, atol=1e-37 * size)
            assert CompiledNormSiLU(plain)(x * float("nan")).isnan().all()


def test_norm_and_silu_of_a_picture_do_not_depend_on_the_batch_nor_on_threads() -> None:
    compiled, x = CompiledNormSiLU(NormSiLU(64)), torch.randn(5, 64, 16, 16)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            with torch.inference_mode():
                results += [compiled(x)[2:3], compiled(x[2:3])]
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, results[0]) for one in results)


def test_what_a_timestep_and_a_class_say_is_computed_once_and_is_the_same(shaken) -> None:
    unet = shaken(UNet(latent_channels=4, channels=(32, 64), blocks=1, classes=3)).eval()
    t, label = torch.tensor([900, 20, 900]), torch.tensor([2, 1, 0])
    with torch.inference_mode():
        expected = unet.modulations(t, label), unet.modulations(t)
        network = ready(unet, CPU)
        of = network.modulations.of  # type: ignore[attr-defined]
        for _ in range(2):
            for got, plain in zip((network.modulations(t, label), network.modulations(t)), expected, strict=True):
                torch.testing.assert_close(got.float(), plain, rtol=0.05, atol=0.05)
    assert (of.cache_info().misses, of.cache_info().hits) == (5, 7)


def test_no_parameter_is_lost_or_counted_twice(unet: UNet) -> None:
    counts = [sum(p.numel() for p in network.parameters()) for network in (unet, ready(copy.deepcopy(unet), CPU))]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_unpacked_again_it_is_the_plain_network_and_has_gradients(
    unet: UNet, monkeypatch: pytest.MonkeyPatch, precision: torch.dtype
) -> None:
    monkeypatch.setattr(inference, "resolve_precision", lambda _, device: precision)
    packed = ready(copy.deepcopy(unet), CPU)
    before = difference(packed, packed)
    plain = unpacked(packed)
    assert difference(unet.to(precision).float(), plain) < 1e-5
    assert difference(packed, packed) == before == 0
    noisy = torch.randn(1, 4, 8, 8, requires_grad=True)
    plain(noisy, torch.tensor([5])).sum().backward()
    assert noisy.grad is not None
    assert noisy.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in plain.parameters())
