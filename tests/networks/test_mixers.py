"""The table of mixers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ddpm_core.networks.mixers import MIXERS, AttentionMixer
from ddpm_core.networks.unet import UNet


@pytest.mark.parametrize("mixer", MIXERS)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5)])
def test_every_mixer_is_made_of_its_width_and_starts_as_the_identity(mixer: str, height: int, width: int) -> None:
    x = torch.randn(2, 32, height, width)
    assert torch.equal(MIXERS[mixer](32)(x), x)


def test_a_line_in_the_table_is_all_that_a_new_mixer_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    widths = []

    class Recorded(nn.Identity):
        def __init__(self, channels: int):
            super().__init__()
            widths.append(channels)

    monkeypatch.setitem(MIXERS, "recorded", Recorded)
    UNet(channels=(32, 64), blocks=1, mixer="recorded")
    assert sorted(widths) == [32, 32, 64]  # two levels down, one up


@pytest.mark.parametrize("channels", range(32, 545, 32))
def test_attention_takes_every_multiple_of_32_channels(channels: int) -> None:
    x = torch.randn(1, channels, 2, 3)
    assert torch.equal(AttentionMixer(channels)(x), x)
