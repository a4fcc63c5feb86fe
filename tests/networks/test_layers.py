"""What codec and denoiser share."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ddpm_core.networks.layers import FEW_CELLS, Conv3x3, neighbourhoods, placed


@pytest.mark.parametrize(("height", "width"), [(4, 4), (2, 8), (3, 5), (1, 4), (4, 1), (1, 1), (5, 4)])
def test_a_convolution_of_few_cells_is_the_one_of_pytorch_to_rounding_its_gradients_too(
    height: int, width: int
) -> None:
    ours, theirs = placed(Conv3x3(6), "cpu"), placed(nn.Conv2d(6, 6, 3, padding=1), "cpu")
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(3, 6, height, width).to(memory_format=torch.channels_last)
    towards = torch.randn(3, 6, height, width)
    found = []
    for conv in (ours, theirs):
        given = x.clone().requires_grad_()
        made = conv(given)
        made.backward(towards)
        found.append([made, given.grad, conv.weight.grad, conv.bias.grad])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_maps_of_few_cells_are_one_product_and_larger_ones_a_convolution(monkeypatch: pytest.MonkeyPatch) -> None:
    conv, convolved = Conv3x3(2), []
    monkeypatch.setattr(nn.Conv2d, "forward", lambda self, x: convolved.append(x.shape[2] * x.shape[3]))
    for side in (1, 4, 5, 8):
        conv(torch.zeros(1, 2, side, side))
    assert convolved == [25, 64]
    assert FEW_CELLS == 16


def test_neighbourhoods_go_row_by_row_with_zeros_beyond_the_edge() -> None:
    cells = neighbourhoods(torch.arange(1.0, 7).view(1, 1, 2, 3))
    assert cells[0, 0, 0].tolist() == [0, 0, 0, 0, 1, 2, 0, 4, 5]
    assert cells[0, 1, 1].tolist() == [1, 2, 3, 4, 5, 6, 0, 0, 0]
