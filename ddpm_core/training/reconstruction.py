"""How true a codec is to pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from ddpm_core.data.load import PictureSet
from ddpm_core.networks.codec import Codec

BATCH = 16  # pictures encoded and decoded at once


def psnr(image: Tensor, reference: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, (B,), of images (B, 3, H, W) in [-1, 1] rounded to 8 bits."""
    levels = [((x.clamp(-1, 1) + 1) * 127.5).round() for x in (image, reference)]
    error = (levels[0] - levels[1]).square().mean((1, 2, 3)).clamp_min(1e-12)  # (B,)
    return 10 * torch.log10(255**2 / error)


class Reconstruction(NamedTuple):
    """Of a codec's pictures, decoded from what was encoded."""

    psnr: float  # dB, mean over pictures
    gradient_ratio: float  # mean gradient magnitude over the originals': below 1 is blurred


@torch.inference_mode()
def reconstruction(
    codec: Codec, pictures: PictureSet, watch: Callable[[Iterable[Tensor]], Iterable[Tensor]] = iter
) -> Reconstruction:
    """How true pictures are once encoded and decoded; `watch` may wrap the batches of `BATCH` to show progress."""
    device = codec.latent_mean.device
    values, restored, original = [], 0.0, 0.0
    for image in watch(pictures.batches(BATCH)):
        decoded = codec.decode(codec.encode(image.to(device))).cpu()  # (B, 3, H, W)
        values.append(psnr(decoded, image))
        restored += gradient_magnitude(decoded.clamp(-1, 1)).sum().item()
        original += gradient_magnitude(image).sum().item()
    # Blank pictures have no edges at all.
    return Reconstruction(torch.cat(values).mean().item(), restored / max(original, 1e-9))


def gradient_magnitude(image: Tensor) -> Tensor:
    """How strong edges are, (B, 3, H-1, W-1), in images (B, 3, H, W)."""
    dx, dy = image.diff(dim=3)[:, :, :-1], image.diff(dim=2)[:, :, :, :-1]  # (B, 3, H-1, W-1) each
    return (dx.square() + dy.square()).sqrt()
