"""How true a codec is to pictures."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from ddpm_core.data.load import PictureSet
from ddpm_core.training.reconstruction import psnr, reconstruction
from tests.codecs import PixelwiseCodec


def pictures() -> PictureSet:
    return PictureSet(torch.randint(0, 256, (5, 3, 16, 16), dtype=torch.uint8), [])


def test_psnr_is_that_of_levels_of_255() -> None:
    image = torch.full((2, 3, 4, 4), 100 / 127.5 - 1)
    off = image + torch.tensor([1, 16]).view(2, 1, 1, 1) / 127.5
    assert psnr(off, image).tolist() == pytest.approx([20 * math.log10(255), 20 * math.log10(255 / 16)], abs=1e-3)
    assert (psnr(image, image) > 100).all()


def test_a_perfect_codec_loses_nothing_and_is_as_sharp_as_the_originals() -> None:
    perfect = PixelwiseCodec(lambda latent: latent)
    measured = reconstruction(perfect, pictures())
    assert measured.psnr > 100
    assert measured.gradient_ratio == pytest.approx(1)


def test_a_codec_that_blurs_has_a_gradient_ratio_below_1() -> None:
    blurring = PixelwiseCodec(lambda latent: nn.functional.avg_pool2d(latent, 3, 1, 1))
    measured = reconstruction(blurring, pictures())
    assert measured.gradient_ratio < 0.6
    assert measured.psnr < 20


def test_each_picture_is_decoded_once() -> None:
    decoded: list[int] = []

    def decode(latent: torch.Tensor) -> torch.Tensor:
        decoded.append(len(latent))
        return latent

    reconstruction(PixelwiseCodec(decode), pictures())
    assert sum(decoded) == 5
