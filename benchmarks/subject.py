"""What several benchmarks train: the denoiser of a preset, on random latents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.machine import Precision
from ddpm_core.networks.codec import Codec, PixelCodec
from ddpm_core.networks.layers import placed
from ddpm_core.networks.tables import BACKBONES
from ddpm_core.networks.unet import Denoiser
from ddpm_core.networks.vae import VAE
from ddpm_core.training.distributed import ALONE, World
from ddpm_core.training.loop import Trainer, TrainStep
from ddpm_core.training.losses import denoiser_loss
from ddpm_core.training.presets import PRESETS
from ddpm_core.training.settings import DenoiserSettings, TrainRequest, VaeSettings
from ddpm_core.training.shards import MicroBatch
from ddpm_core.training.stages.denoiser import shape_of


def settings_of(preset: str, **changes: Any) -> DenoiserSettings:
    """The preset's settings of the denoiser with some changed, and iterations without end."""
    return DenoiserSettings(**{**PRESETS[preset].get("denoiser", {}), "iterations": 10**9, **changes})


def codec_of(preset: str) -> Codec:
    """A codec as the preset has it, without weights."""
    request = TrainRequest(data=".", out=".", **PRESETS[preset])
    with torch.device("meta"):
        if request.codec == "pixel":
            return PixelCodec(request.pixel_stride)
        return VAE(**{name: getattr(request.vae, name) for name in VaeSettings.SHAPE})


def new_denoiser(preset: str, settings: DenoiserSettings) -> Denoiser:
    """A denoiser for the latents of the preset's codec; the same weights every time."""
    latent_channels = codec_of(preset).latent_channels
    torch.manual_seed(0)
    return placed(BACKBONES[settings.backbone](latent_channels=latent_channels, **shape_of(settings)), "cpu")  # type: ignore[call-arg]


def new_trainer(
    preset: str, settings: DenoiserSettings, precision: Precision = "auto", world: World = ALONE
) -> Trainer:
    """A trainer of such a denoiser."""
    return Trainer(new_denoiser(preset, settings), settings, precision, world=world)


def random_latents(unet: Denoiser, batch: int, cells: int) -> Tensor:
    """Normal latents (batch, C, cells, cells), laid out as in training."""
    return torch.randn(batch, unet.latent_channels, cells, cells).to(memory_format=torch.channels_last)


def training_steps(
    preset: str, settings: DenoiserSettings, cells: int, precision: Precision = "auto", world: World = ALONE
) -> Iterator[TrainStep]:
    """Training steps on one batch of random latents `cells` wide and high."""
    trainer, diffuser = new_trainer(preset, settings, precision, world), Diffuser(schedule=settings.schedule)
    clean = random_latents(trainer.model, settings.batch_size, cells)  # type: ignore[arg-type]

    def loss(model: Denoiser, micro_batch: MicroBatch) -> dict[str, Tensor]:
        choices = settings.timesteps, settings.clamp_share, settings.weighting
        return denoiser_loss(model, clean, diffuser, *choices, shard=micro_batch)

    return trainer.train(loss)
