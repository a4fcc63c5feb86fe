"""The first stage: the autoencoder, trained on pictures."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.data.load import PictureSet
from ddpm_core.images.files import contact_sheet
from ddpm_core.machine import pick_device
from ddpm_core.networks.layers import placed
from ddpm_core.networks.vae import VAE
from ddpm_core.training.initialization import start_autoencoder
from ddpm_core.training.loop import batch_index
from ddpm_core.training.pictures import Pictures
from ddpm_core.training.reconstruction import reconstruction
from ddpm_core.training.settings import TrainRequest, VaeSettings
from ddpm_core.training.shards import MicroBatch
from ddpm_core.training.stages.stage import save_grid, write_checkpoint
from ddpm_core.training.vae_loss import vae_loss

SHOWN = 16  # pictures in a grid of reconstructions
MEASURED = 512  # held-out pictures, at most, that reconstruction is measured on: thousands would take long each time


class VaeStage:
    """Trains the autoencoder on pictures; `prepare` makes one from a request."""

    loss_state = None

    def __init__(self, request: TrainRequest, pictures: Pictures, model: VAE, notes: list[str]):
        self.request, self.pictures, self.model, self.notes = request, pictures, model, notes
        self.device = next(model.parameters()).device
        self.basis = {name: pictures.basis[name] for name in ("pictures", "pixels")}

    @classmethod
    def prepare(cls, request: TrainRequest, pictures: Pictures) -> VaeStage:
        """The stage with a new autoencoder, or that of --init. Raises `CheckpointError` if that does not fit."""
        return cls(request, pictures, *build_vae(request))

    def loss(self, model: VAE, micro_batch: MicroBatch) -> dict[str, Tensor]:
        return vae_loss(model, self.images(micro_batch), **self.request.vae.weights, shard=micro_batch)  # type: ignore[arg-type]

    def images(self, micro_batch: MicroBatch) -> Tensor:
        """The pictures (B, 3, H, W) of a micro-batch, mirrored at random."""
        index = batch_index(micro_batch.number, micro_batch.batch_size, len(self.pictures.train), self.request.seed)
        flip = torch.rand(len(index)) < (0.5 if self.request.flips else 0)  # (B,)
        image = self.pictures.train.batch(micro_batch.take(index), micro_batch.take(flip))  # (B/size, 3, H, W)
        return image.to(self.device, memory_format=torch.channels_last)

    @torch.inference_mode()
    def evaluate(self, vae: VAE, grid: Path) -> dict[str, float]:
        """Originals and reconstructions side by side as a picture; PSNR and sharpness of some held out."""
        shown = self.pictures.held_out or self.pictures.train
        original = shown.batch(torch.arange(min(SHOWN, len(shown))))  # (B, 3, H, W)
        restored = vae.decode(vae.encode(original.to(self.device))).cpu()  # (B, 3, H, W)
        save_grid(contact_sheet(torch.stack([original, restored], dim=1).flatten(0, 1), columns=8), grid)
        if self.pictures.held_out is None:
            return {}
        measured = reconstruction(vae, measured_of(self.pictures.held_out))
        return {"held_out_psnr": measured.psnr, "held_out_gradient_ratio": measured.gradient_ratio}

    @torch.inference_mode()
    def export(self, vae: VAE, finished: int | None) -> None:
        """Write config and weights, with the latents' statistics (of all pictures at the end)."""
        if self.request.vae.learns == "all":  # otherwise they are what they were, and a denoiser relies on that
            images = islice(self.pictures.train.batches(32), None if finished else 8)
            vae.measure_latents(vae.moments(image.to(self.device))[0] for image in images)
        shape = {name: getattr(self.request.vae, name) for name in VaeSettings.SHAPE}
        write_checkpoint(self.request, "vae", vae, finished, size=self.request.size, codec_settings=shape)


def measured_of(held_out: PictureSet) -> PictureSet:
    """Held-out pictures measured while training: all, or `MEASURED` of more, evenly spread and always the same."""
    if len(held_out) <= MEASURED:
        return held_out
    return PictureSet(held_out.pixels[torch.arange(MEASURED) * len(held_out) // MEASURED], [])


def build_vae(request: TrainRequest) -> tuple[VAE, list[str]]:
    """The autoencoder that a run trains, on its device, and sentences on the weights it starts from.

    Raises `CheckpointError` if it suits neither the pictures' size nor the checkpoint of --init.
    """
    torch.manual_seed(request.seed)
    vae = VAE(**{name: getattr(request.vae, name) for name in VaeSettings.SHAPE})
    vae = placed(vae, pick_device(request.device))
    if request.size % vae.stride:
        raise CheckpointError(f"size {request.size} is no multiple of the autoencoder's stride {vae.stride}.")
    notes = start_autoencoder(request, vae) if request.init else []
    if request.vae.learns == "decoder":
        if not request.init:
            raise CheckpointError("A decoder alone is trained on an encoder that there is; name it with --init.")
        vae.encoder.requires_grad_(False)
    return vae, notes
