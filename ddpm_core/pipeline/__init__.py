"""A trained model, and what one does with it."""

from ddpm_core.pipeline.latent_diffusion import LatentDiffusion

__all__ = ["LatentDiffusion"]
