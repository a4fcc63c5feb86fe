"""How true a codec is to pictures."""

from __future__ import annotations

import torch
from torch import Tensor

from ddpm_core.data.load import PictureSet
from ddpm_core.networks.codec import Codec


def psnr(image: Tensor, reference: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, (B,), of images (B, 3, H, W) in [-1, 1] rounded to 8 bits."""
    levels = [((x.clamp(-1, 1) + 1) * 127.5).round() for x in (image, reference)]
    error = (levels[0] - levels[1]).square().mean((1, 2, 3)).clamp_min(1e-12)
    return 10 * torch.log10(255**2 / error)


@torch.inference_mode()
def reconstruction_psnr(codec: Codec, pictures: PictureSet) -> float:
    """Mean over pictures of the PSNR, in dB, of decoding what was encoded."""
    device = codec.latent_mean.device
    values = []
    for image in pictures.batches(16):
        values.append(psnr(codec.decode(codec.encode(image.to(device))).cpu(), image))
    return torch.cat(values).mean().item()


@torch.inference_mode()
def gradient_ratio(codec: Codec, pictures: PictureSet) -> float:
    """Mean gradient magnitude of reconstructed pictures over the originals': below 1 is blurred."""
    device = codec.latent_mean.device
    restored, original = 0.0, 0.0
    for image in pictures.batches(16):
        restored += gradient_magnitude(codec.decode(codec.encode(image.to(device))).clamp(-1, 1)).sum().item()
        original += gradient_magnitude(image).sum().item()
    return restored / max(original, 1e-9)  # blank pictures have no edges at all


def gradient_magnitude(image: Tensor) -> Tensor:
    """How strong edges are, (B, 3, H-1, W-1), in images (B, 3, H, W)."""
    dx, dy = image.diff(dim=3)[:, :, :-1], image.diff(dim=2)[:, :, :, :-1]
    return (dx.square() + dy.square()).sqrt()
