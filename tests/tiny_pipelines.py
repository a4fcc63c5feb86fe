"""Tiny random networks and schedulers of diffusers, for pictures of 16 pixels, or latents of as many cells."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DModel

from tests.conftest import shake

SIDE, STATES = 16, 20


def unet(channels: int = 3, **settings: Any) -> UNet2DModel:
    """A tiny random network."""
    torch.manual_seed(1)
    shape = {"block_out_channels": (16, 32), "norm_num_groups": 8, "layers_per_block": 1, "attention_head_dim": 8}
    blocks = {"down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D")}
    chosen = {"sample_size": SIDE, "in_channels": channels, "out_channels": channels, **shape, **blocks, **settings}
    return UNet2DModel(**chosen).eval()


def autoencoder(kind: type = AutoencoderKL, **settings: Any) -> Any:
    """A tiny random autoencoder, stride 2, whose latents have two channels."""
    torch.manual_seed(2)
    shape = {"block_out_channels": (8, 16), "norm_num_groups": 4, "latent_channels": 2, "layers_per_block": 1}
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    return shake(kind(**shape, **blocks, **settings).eval(), scale=0.02)


def ddim(**settings: Any) -> DDIMScheduler:
    """Diffusers' scheduler where its last timestep comes first, as here."""
    return DDIMScheduler(num_train_timesteps=STATES, timestep_spacing="trailing", **{"clip_sample": False, **settings})
