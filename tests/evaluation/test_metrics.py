"""Measures of pictures and of the codec."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ddpm_core.evaluation.metrics import edge_steps, locality
from ddpm_core.networks.vae import VAE
from tests.codecs import PixelwiseCodec


class DecoderOnly:
    """All that `locality` may ask for: another library's codec has no `encode` of ours, nor statistics."""

    stride = 4

    def decode(self, latent: Tensor) -> Tensor:
        return nn.functional.interpolate(latent[:, :3], scale_factor=4)


def test_locality_measures_how_far_a_codec_spreads_a_change() -> None:
    image = torch.rand(2, 3, 16, 16)
    assert locality(PixelwiseCodec(lambda latent: latent), image).radius == 0
    wide = locality(PixelwiseCodec(lambda latent: nn.functional.avg_pool2d(latent, 7, 1, 3)), image)
    assert wide.radius == 3
    assert wide.within_3x3 == pytest.approx(9 / 49, abs=0.15)


def test_locality_asks_a_codec_for_its_stride_and_decoder_only() -> None:
    measured = locality(DecoderOnly(), torch.rand(2, 8, 4, 4))
    assert (measured.radius, measured.within_3x3) == (0, 1)


def test_the_vae_is_as_local_as_its_layers_say(shaken) -> None:
    vae = shaken(VAE(channels=(16, 16), full_width=8, decoder_blocks=1), scale=0.2).eval()
    measured = locality(vae, torch.randn(2, 4, 16, 16))
    assert measured.radius == 7  # two 3x3 kernels at half size, two and one at full size
    assert 0 < measured.within_3x3 <= 1


def test_edge_steps_are_those_between_kept_and_painted_neighbours_and_no_others() -> None:
    pixels = np.zeros((4, 5, 3), dtype=np.uint8)
    painted = np.zeros((4, 5), dtype=bool)
    painted[1:3, 1:3] = True  # eight pairs around a square of 2x2
    pixels[painted] = (200, 100, 0)
    pixels[:, 4] = 255  # a step elsewhere
    assert edge_steps(pixels, painted).tolist() == [100] * 8
    assert edge_steps(np.full_like(pixels, 7), painted).tolist() == [0] * 8
    assert edge_steps(255 - pixels, painted).tolist() == [100] * 8  # unsigned bytes do not wrap around
