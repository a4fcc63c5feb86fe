"""Measures of pictures and of the codec, each a plain function of tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from ddpm_core.data import PictureSet
from ddpm_core.vae import VAE


def psnr(image: Tensor, reference: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, (B,), of images (B, 3, H, W) in [-1, 1] rounded to 8 bits."""
    levels = [((x.clamp(-1, 1) + 1) * 127.5).round() for x in (image, reference)]
    error = (levels[0] - levels[1]).square().mean((1, 2, 3)).clamp_min(1e-12)
    return 10 * torch.log10(255**2 / error)


@torch.inference_mode()
def reconstruction_psnr(vae: VAE, pictures: PictureSet) -> float:
    """Mean over pictures of the PSNR, in dB, of decoding what was encoded."""
    device = vae.latent_mean.device
    values = []
    for image in pictures.batches(16):
        values.append(psnr(vae.decode(vae.encode(image.to(device))).cpu(), image))
    return torch.cat(values).mean().item()
