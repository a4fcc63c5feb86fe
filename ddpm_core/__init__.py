"""Latent diffusion you can hold in your head: codec, serpentine UNet, diffuser, samplers, trainer.

A name is loaded from its module when it is first asked for.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ddpm_core.diffusion.diffuser import Diffuser
    from ddpm_core.diffusion.guidance import autoguidance, classifier_free_guidance
    from ddpm_core.diffusion.noise import SeededNoise
    from ddpm_core.diffusion.prediction import Prediction
    from ddpm_core.diffusion.samplers import SAMPLERS, Step, last, sample_loop
    from ddpm_core.networks.codec import Codec
    from ddpm_core.networks.unet import UNet
    from ddpm_core.networks.vae import VAE
    from ddpm_core.pipeline import LatentDiffusion
    from ddpm_core.requests import EditRequest, GenerateRequest, InpaintRequest

# `python -m ddpm_core.sample` and `from ddpm_core.train import …` are what people type, wherever commands lie. Code of
# this package says `ddpm_core.commands`: a module under both its names would be loaded twice.
__path__.append(str(Path(__file__).with_name("commands")))

__all__ = [
    "SAMPLERS",
    "VAE",
    "Codec",
    "Diffuser",
    "EditRequest",
    "GenerateRequest",
    "InpaintRequest",
    "LatentDiffusion",
    "Prediction",
    "SeededNoise",
    "Step",
    "UNet",
    "autoguidance",
    "classifier_free_guidance",
    "last",
    "sample_loop",
]

MODULES = {
    "pipeline": ["LatentDiffusion"],  # a trained model, and what one does with it
    "requests": ["GenerateRequest", "InpaintRequest", "EditRequest"],  # what one asks of it
    "diffusion.diffuser": ["Diffuser"],  # the noise schedule
    "diffusion.samplers": ["SAMPLERS", "sample_loop", "Step", "last"],  # from noise to picture
    "diffusion.noise": ["SeededNoise"],
    "diffusion.prediction": ["Prediction"],  # what a network says of a noisy latent
    "diffusion.guidance": ["classifier_free_guidance", "autoguidance"],
    "networks.unet": ["UNet"],
    "networks.vae": ["VAE"],
    "networks.codec": ["Codec"],
}


def __getattr__(name: str) -> object:
    for module, names in MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
