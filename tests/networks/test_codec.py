"""Pixels as latents: the codec that loses nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.diffusion.constraints import any_pixel
from ddpm_core.diffusion.samplers import last
from ddpm_core.evaluation.metrics import locality
from ddpm_core.images.files import to_bytes, to_tensor
from ddpm_core.networks.codec import Codec, GreyCodec, PixelCodec
from ddpm_core.networks.vae import VAE
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import InpaintRequest


def measured(stride: int) -> tuple[PixelCodec, torch.Tensor]:
    """A codec with the statistics of some 8-bit pictures, and these."""
    codec, levels = PixelCodec(stride), torch.randint(0, 256, (6, 3, 16, 24)) // torch.tensor([1, 2, 5]).view(3, 1, 1)
    image = levels / 127.5 - 1
    codec.measure_latents(codec.means(image))
    return codec, image


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_a_picture_comes_back_exactly(stride: int) -> None:
    codec, image = measured(stride)
    latent = codec.encode(image)
    assert latent.shape == (6, codec.latent_channels, 16 // stride, 24 // stride)
    assert codec.latent_channels == 3 * stride**2
    assert np.array_equal(to_bytes(codec.decode(latent)), to_bytes(image))


@pytest.mark.parametrize("stride", [1, 2])
def test_latents_are_normalised_channel_by_channel(stride: int) -> None:
    codec, image = measured(stride)
    latent = codec.encode(image)
    torch.testing.assert_close(latent.mean((0, 2, 3)), torch.zeros(codec.latent_channels), rtol=0, atol=1e-5)
    torch.testing.assert_close(latent.std((0, 2, 3)), torch.ones(codec.latent_channels))


def test_a_channel_that_is_the_same_everywhere_has_finite_latents_and_comes_back() -> None:
    codec, image = PixelCodec(2), torch.randint(0, 256, (6, 3, 16, 24)) / 127.5 - 1
    image[:, 0], image[:, 2] = -1, 200 / 127.5 - 1
    image[0, 2, 0, 0] = 201 / 127.5 - 1  # all but one pixel, by one level
    codec.measure_latents(codec.means(image))
    latent = codec.encode(image)
    assert latent.isfinite().all()
    assert latent.abs().max() < 5
    assert np.array_equal(to_bytes(codec.decode(latent)), to_bytes(image))


@pytest.mark.parametrize("codec", [PixelCodec(1), PixelCodec(4), GreyCodec(), VAE(channels=(16, 32), full_width=8)])
def test_latents_can_be_laid_out_as_the_picture_is_and_back(codec: Codec) -> None:
    latent = torch.randn(2, codec.latent_channels, 4, 6)
    laid_out = codec.unfold(latent)
    assert torch.equal(codec.fold(laid_out), latent)
    if codec.of_pixels:
        flipped = codec.fold(laid_out.flip(3))
        assert torch.equal(codec.decode(flipped), codec.decode(latent).flip(3))


def test_a_cell_moves_its_own_pixels_and_no_other() -> None:
    codec, image = measured(4)
    found = locality(codec, codec.encode(image))
    assert found.radius == 0
    assert found.within_3x3 == pytest.approx(1)


@pytest.mark.parametrize("stride", [0, -2, 1.5, "2"])
def test_a_stride_that_is_none_is_refused(stride: Any) -> None:
    with pytest.raises(ValueError, match="whole number"):
        PixelCodec(stride)


def test_pictures_the_stride_does_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 4"):
        PixelCodec(4).encode(torch.zeros(1, 3, 16, 18))


def test_grey_is_what_pillow_calls_brightness_and_comes_back_in_three_channels() -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8))
    latent = GreyCodec().encode(to_tensor(picture))
    assert latent.shape == (1, 1, 6, 8)
    assert np.abs((latent[0, 0].numpy() + 1) * 127.5 - np.asarray(picture.convert("L"))).max() <= 1
    torch.testing.assert_close(GreyCodec().decode(latent), latent.expand(1, 3, 6, 8))


def test_a_checkpoint_of_pixels_holds_statistics_and_no_autoencoder(class_checkpoint: Path) -> None:
    tensors, _ = checkpoint.read_tensors(class_checkpoint / checkpoint.CODEC_WEIGHTS)
    assert {name: tensor.shape for name, tensor in tensors.items()} == {"latent_mean": (48,), "latent_std": (48,)}
    assert isinstance(checkpoint.load_codec(class_checkpoint), PixelCodec)
    with pytest.raises(CheckpointError, match="does not describe a VAE"):
        checkpoint.load_vae(class_checkpoint)


def test_inpainting_in_pixel_space_keeps_cells_and_pixels(class_model: LatentDiffusion) -> None:
    draw = np.random.default_rng(0)
    picture = Image.fromarray(draw.integers(0, 256, (70, 50, 3), dtype=np.uint8))
    painted = np.zeros((70, 50), dtype=bool)
    painted[20:45, 10:30] = True
    request = InpaintRequest(steps=3, label="bee", clamp="clean")
    frame = class_model.frame(request, picture, painted)
    done = last(class_model.inpaint(request, frame.image(), frame.mask()))
    cells = ~any_pixel(frame.mask(), 4).expand(1, 48, 8, 8)
    assert torch.equal(done.latent[cells], class_model.codec.encode(frame.image())[cells])
    result = np.asarray(frame.paste(class_model.pictures(done.latent)[0]))
    assert np.array_equal(result[~painted], np.asarray(picture)[~painted])
    assert (result[painted] != np.asarray(picture)[painted]).any(1).mean() > 0.9


def test_statistics_of_batches_are_those_of_all() -> None:
    means, one, other = torch.randn(10, 4, 3, 3) * 3 + 5, VAE(), VAE()
    one.measure_latents(means)
    other.measure_latents(iter(means.split(4)))
    torch.testing.assert_close(one.latent_mean, means.mean((0, 2, 3)))
    torch.testing.assert_close(one.latent_std, means.std((0, 2, 3)))
    assert torch.equal(one.latent_mean, other.latent_mean)
    torch.testing.assert_close(one.latent_std, other.latent_std)
