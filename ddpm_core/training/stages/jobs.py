"""What each stage of a training run learns from, looks at and writes; how it is run stands in `stages`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from PIL import Image
from torch import Tensor, nn

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.native import CheckpointConfig, CheckpointError
from ddpm_core.data.find import find
from ddpm_core.data.load import NoPictures, PictureSet, Skipped, load_pictures
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.samplers import last
from ddpm_core.evaluation import metrics
from ddpm_core.images.files import Source, contact_sheet
from ddpm_core.machine import pick_device
from ddpm_core.networks.codec import Codec, PixelCodec
from ddpm_core.networks.layers import placed
from ddpm_core.networks.unet import UNet
from ddpm_core.networks.vae import VAE
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest
from ddpm_core.training.distributed import ALONE, World
from ddpm_core.training.initialization import (
    guided_output,
    has_codec_for,
    start_autoencoder,
    start_denoiser,
    take_codec,
)
from ddpm_core.training.loop import batch_index
from ddpm_core.training.losses import denoiser_loss, loss_by_decile, vae_loss, with_labels_dropped
from ddpm_core.training.settings import DenoiserSettings, TrainRequest, VaeSettings
from ddpm_core.training.shards import Draw, Memory
from ddpm_core.training.stages.latents import ENCODED, LATENTS, Views, encoded, kept
from ddpm_core.training.timesteps import LossHistory

StageName = Literal["vae", "denoiser"]
STAGES: dict[StageName, str] = {"vae": "autoencoder", "denoiser": "denoiser"}  # in order, as people call them

VAE_SHAPE = VaeSettings.SHAPE
DENOISER_SHAPE = (*DenoiserSettings.SHAPE, "dropout")
PRIVATE = {"data", "out", "stage", "resume", "device", "threads", "init"}  # of this machine, not of the checkpoint
SHOWN = 16  # pictures in a sample grid
LOOKED_AT = 1024  # held-out latents, about, that the loss by tenth of the timesteps is measured on


@dataclass
class Pictures:
    """The run's pictures, read once for both stages: no file is opened for them after that."""

    train: PictureSet
    held_out: PictureSet | None
    files: int  # pictures read for training, before views multiply them
    classes: tuple[str, ...] = ()
    skipped: list[Skipped] = field(default_factory=list)  # files that could not be used, of both parts


def read_pictures(request: TrainRequest, watch: Callable[[Iterable[Source]], Iterable[Source]] = iter) -> Pictures:
    """Read the data; `watch` may wrap the files to show progress. Raises `PictureError`."""
    found = find(request.data, request.classes)
    files, labels = found.sources, found.labels
    how = request.size, request.views, request.zoom, request.seed
    train = load_pictures(files["train"], *how, labels=labels["train"], watch=watch)
    held_out, skipped = None, train.skipped
    if files["val"]:
        try:
            held_out = load_pictures(files["val"], request.size, labels=labels["val"])
            skipped = skipped + held_out.skipped
        except NoPictures as none:  # nothing can be measured, but all can be learned
            skipped = skipped + none.skipped
    return Pictures(train, held_out, len(train) // request.views, found.classes, skipped)


def skipped_file(out: Path) -> Path:
    """Where a run lists the files that it left out."""
    return out / "training" / "skipped.txt"


def list_skipped(request: TrainRequest, pictures: Pictures) -> None:
    """Write which files were left out, and why, a line each; without any, remove the list of an earlier time."""
    path = skipped_file(request.out)
    if pictures.skipped:
        lines = [f"{name_in(request.data, source)}\t{_on_one_line(reason)}\n" for source, reason in pictures.skipped]
        checkpoint.write_atomically(path, lambda partial: partial.write_text("".join(lines), encoding="utf-8"))
    else:
        path.unlink(missing_ok=True)


def name_in(data: Path, source: Source) -> str:
    """What a file is called in the data, fit to be printed."""
    if isinstance(source, Path) and source.is_relative_to(data):
        source = source.relative_to(data)
    return _on_one_line(str(source))


def _on_one_line(text: str) -> str:
    """Names of files may have line breaks in them, and bytes that are no text."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


class Job(Protocol):
    """What `run_stage` asks of a stage."""

    @property
    def model(self) -> nn.Module: ...

    @property
    def notes(self) -> list[str]:
        """Sentences on what is taken over from another checkpoint, and what cannot be."""

    @property
    def basis(self) -> dict[str, str]:
        """What it learns from, in words, so that a run that goes on can tell whether that changed."""

    @property
    def memory(self) -> Memory | None:
        """What `loss` remembers from step to step, in buffers; None if nothing."""

    def loss(self, model: Any, draw: Draw) -> dict[str, Tensor]:
        """Loss terms of `model` on the pictures of `draw`."""

    def look(self, model: Any, grid: Path) -> dict[str, float]:
        """Write a picture that shows how well `model` does to `grid`; measures on held-out pictures."""

    def export(self, model: Any, finished: int | None) -> None:
        """Write config and weights of `model` into the checkpoint folder; `finished` is the number of the last step.

        In this order: killed in between, there is a config without weights, which nobody takes for a checkpoint.
        """


class VaeJob:
    """Trains the autoencoder on pictures."""

    memory = None

    def __init__(self, request: TrainRequest, pictures: Pictures):
        self.request, self.pictures = request, pictures
        self.device = pick_device(request.device)
        self.shape: dict[str, Any] = {name: getattr(request.vae, name) for name in VAE_SHAPE}
        torch.manual_seed(request.seed)
        self.model = placed(VAE(**self.shape), self.device)
        if request.size % self.model.stride:
            raise CheckpointError(
                f"size {request.size} is no multiple of the autoencoder's stride {self.model.stride}."
            )
        self.notes = start_autoencoder(request, self.model) if request.init else []
        self.basis = {"pictures": str(len(pictures.train))}
        if request.vae.learns == "decoder":
            if not request.init:
                raise CheckpointError("A decoder alone is trained on an encoder that there is; name it with --init.")
            self.model.encoder.requires_grad_(False)

    def loss(self, model: VAE, draw: Draw) -> dict[str, Tensor]:
        weights = self.request.vae.weights
        return vae_loss(model, self.images(draw), **weights, part=draw)  # type: ignore[arg-type]

    def images(self, draw: Draw) -> Tensor:
        """The pictures (B, 3, H, W) of what is drawn, mirrored at random."""
        index = batch_index(draw.number, draw.batch_size, len(self.pictures.train), self.request.seed)
        flip = torch.rand(len(index)) < (0.5 if self.request.flips else 0)
        image = self.pictures.train.batch(draw.share(index), draw.share(flip))
        return image.to(self.device, memory_format=torch.channels_last)

    @torch.inference_mode()
    def look(self, vae: VAE, grid: Path) -> dict[str, float]:
        """Reconstructions beside their originals as a picture; PSNR of the held-out ones."""
        source = self.pictures.held_out or self.pictures.train
        shown = source.batch(torch.arange(min(SHOWN, len(source))))
        restored = vae.decode(vae.encode(shown.to(self.device))).cpu()
        save_grid(contact_sheet(torch.stack([shown, restored], dim=1).flatten(0, 1), columns=8), grid)
        if self.pictures.held_out is None:
            return {}
        return {
            "held_out_psnr": metrics.reconstruction_psnr(vae, self.pictures.held_out),
            "held_out_gradient_ratio": metrics.gradient_ratio(vae, self.pictures.held_out),
        }

    @torch.inference_mode()
    def export(self, vae: VAE, finished: int | None) -> None:
        """Measure the latents' statistics (of all pictures at the end) and write weights and config."""
        if self.request.vae.learns == "all":  # otherwise they are what they were, and a denoiser relies on that
            images = islice(self.pictures.train.batches(32), None if finished else 8)
            vae.measure_latents(torch.cat([vae.moments(image.to(self.device))[0].cpu() for image in images]))
        record(self.request, "vae", size=self.request.size, vae=self.shape)
        checkpoint.write_weights(self.request.out / checkpoint.VAE_WEIGHTS, vae, finished)


class DenoiserJob:
    """Trains the UNet on the latents of a codec: a trained autoencoder, or one that keeps the pixels."""

    def __init__(self, request: TrainRequest, pictures: Pictures, world: World = ALONE):
        self.request = request
        self.diffuser = Diffuser(schedule=request.denoiser.schedule)
        self.device = pick_device(request.device)
        self.notes: list[str] = []
        if world.leads and not (request.out / checkpoint.VAE_WEIGHTS).exists():
            if request.init and has_codec_for(request, request.init):
                self.notes += take_codec(request)
            elif request.codec == "pixel":
                write_pixel_codec(request, pictures.train)
        world.meet()  # the codec is written
        self.codec: Codec = checkpoint.load_codec(request.out, self.device)
        if (built := checkpoint.read_config(request.out).codec) != request.codec:
            raise CheckpointError(
                f"{request.out} has the codec {built!r}, not {request.codec!r}; choose another --out."
            )
        self.classes = pictures.classes
        self.shape: dict[str, Any] = {name: getattr(request.denoiser, name) for name in DENOISER_SHAPE}
        self.shape |= {"latent_channels": self.codec.latent_channels, "classes": len(self.classes)}
        torch.manual_seed(request.seed)
        self.model = placed(UNet(**self.shape), self.device)
        if request.init:
            self.notes += start_denoiser(request, self.model, self.classes)
        self.basis = {"pictures": str(len(pictures.train))}
        if steps := checkpoint.finished_after(request.out / checkpoint.VAE_WEIGHTS):
            self.basis["autoencoder"] = f"{steps} steps"
        drawn_by_loss = request.denoiser.timesteps == "importance"
        self.memory = LossHistory(self.diffuser.num_timesteps) if drawn_by_loss else None
        self.teacher = guided_output(request.init, self.device) if request.denoiser.learns == "guided" else None
        self.latents, self.held_out = self.encode(pictures, keep=world.leads)
        self.labels = self.labels_of(pictures.train, flips=request.flips)
        self.held_out_labels = self.labels_of(pictures.held_out, flips=False) if pictures.held_out else None

    def encode(self, pictures: Pictures, keep: bool) -> tuple[Tensor, Tensor | None]:
        """Latents (N, C, h, w) of the pictures to train on, and of those held out; made once, if they are to be kept.

        Pixels for latents are not: they are made in no time, and several times as large as the pictures.
        """
        parts = {"train": Views(pictures.train, self.request.flips)}
        if pictures.held_out:
            parts["held_out"] = Views(pictures.held_out, flips=False)
        if isinstance(self.codec, PixelCodec):
            made = {part: encoded(self.codec, views) for part, views in parts.items()}
        else:
            made = kept(self.codec, parts, self.request.out / "training" / LATENTS, write=keep)
        return made["train"], made.get("held_out")

    def labels_of(self, pictures: PictureSet, flips: bool) -> Tensor | None:
        """The class (N,) of each latent that `encode` makes; None without classes."""
        if not self.classes or pictures.labels is None:
            return None
        return torch.cat([part for batch in pictures.labels.split(ENCODED) for part in [batch] * (1 + flips)])

    def loss(self, model: UNet, draw: Draw) -> dict[str, Tensor]:
        return self._loss(model, draw, self.latents, self.labels, self.memory)

    def _loss(
        self,
        model: UNet,
        draw: Draw,
        latents: Tensor,
        labels: Tensor | None,
        history: LossHistory | None = None,
    ) -> dict[str, Tensor]:
        settings = self.request.denoiser
        index = batch_index(draw.number, draw.batch_size, len(latents), self.request.seed)
        clean = latents[index].to(self.device, memory_format=torch.channels_last)
        label = None
        if labels is not None:
            label = with_labels_dropped(labels[index], settings.label_dropout, len(self.classes)).to(self.device)
        choices = settings.timesteps, settings.clamp_share, settings.weighting, label
        return denoiser_loss(model, clean, self.diffuser, *choices, self.teacher, draw, history)

    @torch.inference_mode()
    def look(self, unet: UNet, grid: Path) -> dict[str, float]:
        """Samples of fixed seeds as a picture; the loss on held-out latents with fixed noise."""
        model = LatentDiffusion(self.codec, unet, self.diffuser, self.request.size, classes=self.classes)
        told = self.classes[:: len(self.classes) // 8 + 1] or (None, None)  # a row of each of some, or two of any
        requests = [GenerateRequest(seed=8 * row, count=8, label=label) for row, label in enumerate(told)]
        latents = [last(model.generate(request)).latent for request in requests]
        save_grid(contact_sheet(model.codec.decode(torch.cat(latents)), 8 if self.classes else None), grid)
        if self.held_out is None:
            return self.by_decile(unet, "train", self.latents, self.labels)
        torch.manual_seed(0)
        draws = [Draw(number=number, batch_size=self.request.denoiser.batch_size) for number in range(8)]
        losses = [self._loss(unet, draw, self.held_out, self.held_out_labels)["loss"].item() for draw in draws]
        by_decile = self.by_decile(unet, "held_out", self.held_out, self.held_out_labels)
        return {"held_out_loss": sum(losses) / len(losses)} | by_decile

    def by_decile(self, unet: UNet, name: str, latents: Tensor, labels: Tensor | None) -> dict[str, float]:
        """Loss on some of the latents by tenth of the timesteps, as measures whose names say on what."""
        some = slice(None, None, max(1, len(latents) // LOOKED_AT))
        label = None if labels is None else labels[some].to(self.device)
        losses = loss_by_decile(unet, latents[some].to(self.device), self.diffuser, label=label)
        return {f"{name}_decile_{number}": loss for number, loss in enumerate(losses)}

    def export(self, unet: UNet, finished: int | None) -> None:
        parts: dict[str, Any] = {
            "denoiser": self.shape,
            "diffuser": self.diffuser.config(),
            "classes": list(self.classes),
        }
        parts |= {"guide": {}, "guidance": 1.0}  # of the denoiser that was there before, if any
        record(self.request, "denoiser", size=self.request.size, **parts)
        checkpoint.write_weights(self.request.out / checkpoint.DENOISER_WEIGHTS, unet, finished)


@torch.inference_mode()
def write_pixel_codec(request: TrainRequest, pictures: PictureSet) -> None:
    """Write the codec that keeps pixels into a checkpoint folder, with the statistics of the training pictures.

    Raises:
        CheckpointError: the pictures' size is no multiple of the stride.
    """
    codec = PixelCodec(request.pixel_stride)
    if request.size % codec.stride:
        raise CheckpointError(f"size {request.size} is no multiple of the pixel codec's stride {codec.stride}.")
    codec.measure_latents(torch.cat([codec.means(image) for image in pictures.batches(ENCODED)]))
    config = CheckpointConfig(size=request.size, codec="pixel", vae={"stride": codec.stride}, about=request.about)
    checkpoint.write_config(request.out, config)  # first, as in `Job.export`
    checkpoint.write_weights(request.out / checkpoint.VAE_WEIGHTS, codec)


def save_grid(sheet: Image.Image, path: Path) -> None:
    """Write a picture of how well a stage does, atomically."""
    checkpoint.write_atomically(path, lambda partial: sheet.save(partial, format="PNG"))


def settings_of(request: TrainRequest, stage: str) -> dict[str, Any]:
    """The resolved settings of a stage's run, as JSON takes them, without what is of this machine alone."""
    return request.model_dump(mode="json", exclude=PRIVATE | ({"vae", "denoiser"} - {stage}))


def record(request: TrainRequest, stage: str, **parts: Any) -> None:
    """Bring `config.json` up to date with what a stage built and the settings it used."""
    path = request.out / checkpoint.CONFIG
    config = checkpoint.read_config(request.out) if path.exists() else CheckpointConfig(size=request.size)
    settings = settings_of(request, stage)
    names = {"data": request.data.resolve().name} | ({"init": request.init.resolve().name} if request.init else {})
    training = config.training | {stage: names | settings}
    checkpoint.write_config(
        request.out, config.model_copy(update={**parts, "training": training, "about": request.about or config.about})
    )
