"""Codecs between images and latents: what they share, and the one that keeps pixels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddpm_core.errors import UserError

LEAST = 1 / 255  # deviation that latents are divided by; of pixels, half the distance between two of their 256 levels


class Codec(nn.Module, ABC):
    """An image <-> latent mapping; subclasses define `means` and `restored`.

    Over the training set normalised channels have mean 0 and deviation 1, or less where they hardly vary.

    Attributes:
        latent_channels, stride: C of the latent, and pixels per cell along a side.
        of_pixels: whether latents are rearranged pixels.
    """

    of_pixels = False
    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, latent_channels: int, stride: int):
        super().__init__()
        self.latent_channels, self.stride = latent_channels, stride
        self.register_buffer("latent_mean", torch.zeros(latent_channels))
        self.register_buffer("latent_std", torch.ones(latent_channels))

    @abstractmethod
    def means(self, image: Tensor) -> Tensor:
        """Latent (B, C, H/stride, W/stride), not normalised, of `image` (B, 3, H, W) in [-1, 1]."""

    @abstractmethod
    def restored(self, latent: Tensor) -> Tensor:
        """Image (B, 3, h*stride, w*stride) of a `latent` (B, C, h, w), not normalised."""

    def encode(self, image: Tensor) -> Tensor:
        """Normalised latent (B, C, H/stride, W/stride) of `image` (B, 3, H, W) in [-1, 1].

        Raises:
            UserError: a side is no multiple of the stride.
        """
        if image.shape[2] % self.stride or image.shape[3] % self.stride:
            raise UserError(f"picture sides must be multiples of {self.stride}, not {tuple(image.shape[2:])}")
        return (self.means(image) - self.latent_mean[:, None, None]) / self.latent_std[:, None, None]

    def decode(self, latent: Tensor) -> Tensor:
        """Image (B, 3, h*stride, w*stride), nominally in [-1, 1], of a normalised `latent` (B, C, h, w)."""
        return self.restored(latent * self.latent_std[:, None, None] + self.latent_mean[:, None, None]).float()

    def unfold(self, latent: Tensor) -> Tensor:
        """A latent laid out so that neighbours are neighbours in the picture."""
        return latent

    def fold(self, laid_out: Tensor) -> Tensor:
        """The way back from `unfold`."""
        return laid_out

    def measure_latents(self, means: Tensor | Iterable[Tensor]) -> None:
        """Store mean and deviation, at least `LEAST`, per channel of `means` (N, C, h, w), at once or in batches."""
        count, total, squared = 0, torch.zeros(1), torch.zeros(1)
        for batch in [means] if isinstance(means, Tensor) else means:
            values = batch.transpose(0, 1).flatten(1).cpu().double()  # (C, B*h*w)
            count += values.shape[1]
            total, squared = total + values.sum(1), squared + values.square().sum(1)  # (C,)
        mean = total / count  # (C,)
        variance = (squared - count * mean.square()) / (count - 1)
        self.latent_mean.copy_(mean)
        self.latent_std.copy_(variance.clamp_min(0).sqrt().clamp_min(LEAST))


class PixelCodec(Codec):
    """Pixels as they are: `stride` x `stride` of them are a cell's channels (Shi et al. 2016, section 2.2, backwards).

    Raises:
        ValueError: `stride` is no whole number from 1 on.
    """

    of_pixels = True

    def __init__(self, stride: int = 2):
        if not isinstance(stride, int) or stride < 1:
            raise ValueError(f"a stride is a whole number from 1 on, not {stride!r}")
        super().__init__(3 * stride**2, stride)

    def means(self, image: Tensor) -> Tensor:
        return F.pixel_unshuffle(image, self.stride)  # (B, 3*stride², H/stride, W/stride)

    def restored(self, latent: Tensor) -> Tensor:
        return F.pixel_shuffle(latent, self.stride)  # (B, 3, h*stride, w*stride)

    def unfold(self, latent: Tensor) -> Tensor:
        """A cell for every pixel, (B, 3, h*stride, w*stride)."""
        return F.pixel_shuffle(latent, self.stride)

    def fold(self, laid_out: Tensor) -> Tensor:
        return F.pixel_unshuffle(laid_out, self.stride)


class GreyCodec(Codec):
    """One channel of brightness (ITU-R BT.601, as in Pillow), stride 1: pictures come out grey."""

    of_pixels = True

    def __init__(self) -> None:
        super().__init__(1, 1)

    def means(self, image: Tensor) -> Tensor:
        """(B, 1, H, W), the brightness of the pixels."""
        return (image * image.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)  # (B, 1, H, W)

    def restored(self, latent: Tensor) -> Tensor:
        return latent.expand(-1, 3, -1, -1)  # (B, 3, h, w)
