"""Networks by their names in `config.json`: a new one is a class and a line here."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

from ddpm_core.networks.codec import Codec, PixelCodec
from ddpm_core.networks.dit import DiT
from ddpm_core.networks.unet import Denoiser, UNet
from ddpm_core.networks.vae import VAE

CODECS: dict[str, type[Codec]] = {"vae": VAE, "pixel": PixelCodec}
BACKBONES: dict[str, type[Denoiser]] = {"unet": UNet, "dit": DiT}  # of denoisers


def default(network: type[nn.Module], argument: str) -> Any:
    """The default of a constructor's `argument`, which also holds where a file lacks it."""
    return inspect.signature(network).parameters[argument].default
