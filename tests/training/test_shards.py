"""Batches cut into shards: together they are what the batch would have been."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.errors import UserError
from ddpm_core.networks.unet import UNet
from ddpm_core.networks.vae import VAE
from ddpm_core.training.losses import denoiser_loss
from ddpm_core.training.shards import Shard
from ddpm_core.training.vae_loss import vae_loss


def mean_over_shards(loss: Any, size: int = 2) -> float:
    """The mean over shards of what each of them makes of the same random numbers."""
    found = []
    for rank in range(size):
        torch.manual_seed(3)
        found.append(loss(Shard(rank, size))["loss"].item())
    return sum(found) / size


def test_the_mean_over_shards_is_the_mean_over_the_batch(shaken) -> None:
    unet = shaken(UNet(channels=(32, 64), blocks=1, dropout=0.0))
    vae, clean, image = shaken(VAE(channels=(16, 16), full_width=8)), torch.randn(8, 4, 8, 8), torch.rand(8, 3, 16, 16)

    def denoising(shard: Shard) -> dict[str, torch.Tensor]:  # a half of the batch has far more held cells than another
        return denoiser_loss(unet, clean, Diffuser(), "lognormal", 0.5, shard=shard)

    def restoring(shard: Shard) -> dict[str, torch.Tensor]:
        return vae_loss(vae, shard.take(image), 0.1, 0.2, 3.0, shard)

    for loss in (denoising, restoring):
        for size in (2, 4, 8):
            assert mean_over_shards(loss, size) == pytest.approx(mean_over_shards(loss, 1), rel=1e-5)


def test_noise_is_cut_from_that_of_the_whole_batch() -> None:
    mean = torch.randn(6, 8, 4, 4).to(memory_format=torch.channels_last).chunk(2, dim=1)[0]
    torch.manual_seed(0)
    whole = torch.randn_like(mean)
    for size in (1, 2, 3, 6):
        parts = []
        for rank in range(size):
            torch.manual_seed(0)
            parts.append(Shard(rank, size).randn_like(Shard(rank, size).take(mean)))
        assert torch.equal(torch.cat(parts), whole)


def test_shards_are_equal_and_cover_the_batch_once() -> None:
    batch = torch.arange(12)
    assert torch.equal(torch.cat([Shard(rank, 4).take(batch) for rank in range(4)]), batch)
    with pytest.raises(UserError, match="multiple of 5"):
        Shard(0, 5).take(batch)


def test_a_batch_with_everything_done_to_clamped_examples_is_the_same_in_shards(shaken) -> None:
    unet, clean = shaken(UNet(channels=(32,), blocks=1, dropout=0.0)), torch.randn(8, 4, 8, 8)
    choices = {"clamp_timesteps": "uniform", "clamp_middle": 0.5, "recoloured": clean.flip(1), "clamp_recolour": 0.5}

    def loss(shard: Shard) -> dict[str, torch.Tensor]:
        return denoiser_loss(unet, clean, Diffuser(), "lognormal", 0.7, shard=shard, **choices)

    for size in (2, 4):
        assert mean_over_shards(loss, size) == pytest.approx(mean_over_shards(loss, 1), rel=1e-5)
