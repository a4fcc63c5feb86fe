"""What an autoencoder minimises: errors of what it restores, missing texture, and its latents' distance from noise."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ddpm_core.networks.vae import VAE
from ddpm_core.training.shards import WHOLE, Shard


def vae_loss(
    vae: VAE,
    image: Tensor,
    kl_weight: float,
    edge_weight: float,
    texture_weight: float,
    shard: Shard = WHOLE,
    more: Callable[[Tensor], dict[str, Tensor]] = lambda restored: {},
) -> dict[str, Tensor]:
    """Terms of the training loss for a batch (B, 3, H, W) in [-1, 1]; "loss" is the one to minimise.

    Each is a mean over pictures, so the mean over shards is that over the batch; KL is averaged over latent entries
    (Kingma & Welling 2014, appendix B). `more` gives further terms of what was restored, (B, 3, H, W) in about [-1, 1].
    """
    mean, log_variance = vae.moments(image)  # (B, C, h, w) each
    latent = mean + torch.exp(0.5 * log_variance) * shard.randn_like(mean)
    restored = vae.decoder(latent).float()  # (B, 3, H, W)

    error = restored - image
    pixels = (error.square().mean((1, 2, 3)) + 1e-8).sqrt().mean()
    coarse = F.avg_pool2d(error, 2).abs().mean() + F.avg_pool2d(error, 4).abs().mean()
    edges = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    missing = texture(restored) - texture(image)  # (3B, 15, h, w)
    blur = (missing.square().mean((2, 3)) + 1e-10).sqrt().mean()  # absolute values would settle below the mean
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
    terms = more(restored)
    loss = pixels + 0.5 * coarse + edge_weight * edges + texture_weight * blur + kl_weight * kl + sum(terms.values())
    return {"loss": loss} | {"pixels": pixels, "texture": blur, "kl": kl} | terms


def texture(image: Tensor) -> Tensor:
    """How strong each frequency of the 4x4 cosine transform is around each place of (B, 3, H, W): (3B, 15, h, w).

    A plain error is smallest where fine detail is averaged away; this brings it back at little cost. Asked for strong
    gradients alone, a decoder answers with a checkerboard.
    """
    frequency, place = torch.arange(4.0)[:, None], torch.arange(4.0)  # (4, 1), (4,)
    cosines = torch.cos(math.pi / 4 * (place + 0.5) * frequency) / 2**0.5  # (4, 4)
    cosines[0] /= 2**0.5
    kernels = torch.einsum("ui,vj->uvij", cosines, cosines).reshape(16, 1, 4, 4)[1:].to(image)
    strength = F.conv2d(image.flatten(0, 1).unsqueeze(1), kernels, stride=2).abs()  # (3B, 15, H/2 - 1, W/2 - 1)
    window = min(8, *strength.shape[2:])
    return F.avg_pool2d(strength, window, max(1, window // 2))
