"""The second stage: the denoiser, trained on a codec's latents."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.checkpoints.native import LEVEL, CheckpointConfig, ImageConditioning
from ddpm_core.data.load import PictureSet
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.samplers import last
from ddpm_core.images.files import contact_sheet
from ddpm_core.machine import pick_device
from ddpm_core.networks.codec import Codec, PixelCodec
from ddpm_core.networks.layers import placed
from ddpm_core.networks.tables import BACKBONES
from ddpm_core.networks.text import Vocabulary
from ddpm_core.networks.unet import Denoiser
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import MAX_PROMPT, GenerateRequest
from ddpm_core.training.captions import drawn_captions
from ddpm_core.training.distributed import ALONE, World
from ddpm_core.training.initialization import GUIDING, guided_output, has_codec_for, start_denoiser, take_codec
from ddpm_core.training.loop import batch_index
from ddpm_core.training.losses import denoiser_loss, loss_by_decile, with_labels_dropped
from ddpm_core.training.pictures import Pictures
from ddpm_core.training.settings import DenoiserSettings, TrainRequest
from ddpm_core.training.shards import MicroBatch
from ddpm_core.training.stages.latents import ENCODED, LatentSet, encode_pictures
from ddpm_core.training.stages.stage import save_grid, save_moments, write_checkpoint
from ddpm_core.training.timesteps import LossAwareSampler


def shape_of(settings: DenoiserSettings, words: int = 0) -> dict[str, Any]:
    """What its backbone's constructor takes of the settings; of those for captions only if there are words."""
    taken = inspect.signature(BACKBONES[settings.backbone]).parameters
    names = (*settings.SHAPE, "dropout", *(settings.TEXT if words else ()))
    return {name: getattr(settings, name) for name in names if name in taken} | ({"words": words} if words else {})


def built_as(settings: DenoiserSettings, codec: Codec, classes: int, words: int) -> dict[str, Any]:
    shape = shape_of(settings, words) | {"latent_channels": codec.latent_channels, "classes": classes}
    if settings.enlarges > 1:
        shape["conditioning_channels"] = codec.latent_channels + LEVEL
    return shape


def conditioning_of(settings: DenoiserSettings) -> ImageConditioning | None:
    """What the denoiser is shown beside noise, if anything."""
    if settings.enlarges == 1:
        return None
    return ImageConditioning(factor=settings.enlarges, noise=settings.conditioning_noise)


def words_read(request: TrainRequest, pictures: Pictures) -> tuple[str, ...]:
    return pictures.words if request.denoiser.text_width else ()


MEASURED = 1024  # latents, about, that the loss by tenth of the timesteps is measured on
HELD_OUT_BATCHES = 8  # that the held-out loss is the mean of
PROMPTS = 4  # captions of which samples are shown
ENLARGED = 6  # pictures of which the sample grid of one that enlarges has a row each


@dataclass
class DenoiserStage:
    """Trains the denoiser on the latents of a codec; samples are made for its `prompts`, held out if there are such."""

    request: TrainRequest
    model: Denoiser
    codec: Codec
    # train, held_out: latents with their classes
    train: LatentSet
    held_out: LatentSet | None = None
    classes: tuple[str, ...] = ()
    # gives the right output, if that is not what the latents were made from
    teacher: Callable[[Tensor, Tensor], Tensor] | None = None
    basis: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    words: tuple[str, ...] = ()  # of captions, that it learns
    # how it makes pictures, where not as requests have it; see `CheckpointConfig`
    defaults: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        captions = list(dict.fromkeys((self.held_out or self.train).captions or ())) if self.words else []
        rows = min(PROMPTS, len(captions))
        self.prompts = [captions[row * len(captions) // rows][:MAX_PROMPT] for row in range(rows)]
        self.diffuser = Diffuser(schedule=self.request.denoiser.schedule)
        self.device = next(self.model.parameters()).device
        self.vocabulary = Vocabulary(self.words, self.request.denoiser.text_length)
        loss_aware = self.request.denoiser.timesteps == "importance"
        self.loss_state = LossAwareSampler(self.diffuser.num_timesteps) if loss_aware else None

    @classmethod
    def prepare(cls, request: TrainRequest, pictures: Pictures, world: World = ALONE) -> Self:
        """The stage with the codec of `request.out`, written there if missing, and a denoiser, new or of --init.

        Raises `CheckpointError` if codec, checkpoint and pictures do not fit each other.
        """
        notes = write_codec(request, pictures.train) if world.is_main else []
        world.barrier()  # the codec is written
        device = pick_device(request.device)
        codec = checkpoint.load_codec(request.out, device)
        if (built := checkpoint.read_config(request.out).codec) != request.codec:
            raise CheckpointError(
                f"{request.out} has the codec {built!r}, not {request.codec!r}; choose another --out."
            )
        torch.manual_seed(request.seed)
        words = words_read(request, pictures)
        shape = built_as(request.denoiser, codec, len(pictures.classes), len(words))
        model = placed(checkpoint.build(BACKBONES[request.denoiser.backbone], shape, request.out), device)
        if (cells := request.size // codec.stride) % model.patch:
            raise CheckpointError(f"{cells} cells a side are no multiple of the patch {model.patch}; choose another.")
        if request.size % (factor := request.denoiser.enlarges):
            raise CheckpointError(f"size {request.size} is no multiple of {factor}, by which pictures are enlarged.")
        if request.init:
            notes += start_denoiser(request, model, pictures.classes, words)
        basis = dict(pictures.basis)
        if steps := checkpoint.finished_after(request.out / checkpoint.CODEC_WEIGHTS):
            basis["autoencoder"] = f"{steps} steps"
        teacher = guided_output(request.init, device) if request.denoiser.learns == "guided" else None
        recoloured = bool(request.denoiser.clamp_share and request.denoiser.clamp_recolour)
        train, held_out = encode_pictures(request, codec, pictures, world, recoloured, factor)
        return cls(request, model, codec, train, held_out, pictures.classes, teacher, basis, notes, words)

    def loss(self, model: Denoiser, micro_batch: MicroBatch) -> dict[str, Tensor]:
        settings = self.request.denoiser
        index, clean, label = self.batch(self.train, micro_batch)
        return denoiser_loss(
            model,
            clean,
            self.diffuser,
            settings.timesteps,
            settings.clamp_share,
            settings.weighting,
            label,
            self.teacher,
            micro_batch,
            self.loss_state,
            clamp_timesteps=settings.clamp_timesteps,
            clamp_middle=settings.clamp_middle,
            recoloured=self.recoloured(index),
            clamp_recolour=settings.clamp_recolour,
            tokens=self.tokens(self.train, index, label),
            condition=self.condition(self.train, index),
            conditioning_noise=settings.conditioning_noise,
        )

    def batch(self, latents: LatentSet, micro_batch: MicroBatch) -> tuple[Tensor, Tensor, Tensor | None]:
        """Index (B,), latents (B, C, h, w) and classes (B,), some dropped, of the whole of a micro-batch."""
        settings = self.request.denoiser
        index = batch_index(micro_batch.number, micro_batch.batch_size, len(latents.clean), self.request.seed)
        clean = latents.clean[index].to(self.device, memory_format=torch.channels_last)
        if latents.labels is None:
            return index, clean, None
        label = with_labels_dropped(latents.labels[index], settings.label_dropout, len(self.classes))
        return index, clean, label.to(self.device)

    def recoloured(self, index: Tensor) -> Tensor | None:
        """The training pictures numbered `index` (B,) in another light, (B, C, h, w), if there are."""
        if self.train.recoloured is None:
            return None
        return self.train.recoloured[index].to(self.device, memory_format=torch.channels_last)

    def tokens(self, latents: LatentSet, index: Tensor, label: Tensor | None) -> Tensor | None:
        """Captions (B, L), some varied or dropped, of the latents numbered `index` (B,) and classes `label` (B,), if it
        learns words.
        """
        if not self.words or latents.captions is None:
            return None
        captions = [latents.captions[number] for number in index.tolist()]
        without_class = None if label is None else label == len(self.classes)
        drawn = drawn_captions(captions, self.request.denoiser.caption_dropout, without_class)
        return self.vocabulary.tokens(drawn).to(self.device)

    def condition(self, latents: LatentSet, index: Tensor | slice) -> Tensor | None:
        """What is shown beside the latents of that index, (B, C, h, w), if anything."""
        if latents.condition is None:
            return None
        # In one order whether just encoded or read from a file: noise like it is drawn in that order.
        return latents.condition[index].to(self.device, memory_format=torch.channels_last)

    @torch.inference_mode()
    def evaluate(self, unet: Denoiser, grid: Path) -> dict[str, float]:
        """Samples of fixed seeds as a picture; the loss on held-out latents, so that runs compare."""
        self.show(unet, grid)
        if self.held_out is None:
            return self.by_decile(unet, "train", self.train)
        loss = self.held_out_loss(unet, self.held_out)
        return {"held_out_loss": loss} | self.by_decile(unet, "held_out", self.held_out)

    def held_out_loss(self, unet: Denoiser, held_out: LatentSet) -> float:
        """The loss on latents with fixed noise: the plain one, whatever is done to training examples."""
        torch.manual_seed(0)
        settings, losses = self.request.denoiser, []
        for number in range(HELD_OUT_BATCHES):
            micro_batch = MicroBatch(number=number, batch_size=settings.batch_size)
            index, clean, label = self.batch(held_out, micro_batch)
            plain = settings.timesteps, settings.clamp_share, settings.weighting, label, self.teacher
            tokens, condition = self.tokens(held_out, index, label), self.condition(held_out, index)
            terms = denoiser_loss(unet, clean, self.diffuser, *plain, tokens=tokens, condition=condition)
            losses.append(terms["loss"].item())
        return sum(losses) / len(losses)

    def show(self, unet: Denoiser, grid: Path) -> None:
        """Write samples as a picture; of one that enlarges, rows of what it is given, its result and the original."""
        conditioning = conditioning_of(self.request.denoiser)
        model = LatentDiffusion(
            self.codec, unet, self.diffuser, self.request.size, classes=self.classes, words=self.words,
            conditioning=conditioning, defaults=self.defaults,
        )  # fmt: skip
        if conditioning is not None:
            latents = self.held_out or self.train
            assert latents.condition is not None
            given, original = (each[:ENLARGED].to(self.device) for each in (latents.condition, latents.clean))
            enlarging = model.with_condition(given)
            made = last(enlarging.generate(GenerateRequest(count=len(given)))).latent  # (B, C, h, w)
            sheet = torch.stack([given, made, original], dim=1).flatten(0, 1)  # (3B, C, h, w)
            save_grid(contact_sheet(self.codec.decode(sheet), 3), grid)
            return
        rows = enumerate(self.shown())
        requests = [model.request(GenerateRequest, seed=8 * row, count=8, **asked) for row, asked in rows]
        runs = [list(model.generate(request)) for request in requests]
        sampled = torch.cat([steps[-1].latent for steps in runs])  # (B, C, h, w)
        save_grid(contact_sheet(model.codec.decode(sampled), 8 if self.classes or self.words else None), grid)
        save_moments(runs[0], model, grid.parent)

    def shown(self) -> list[dict[str, str]]:
        """What each row of samples is asked for: captions, or classes, or nothing twice."""
        if self.prompts:
            return [{"prompt": prompt} for prompt in self.prompts]
        return [{"label": label} for label in self.classes[:: len(self.classes) // 8 + 1]] or [{}, {}]

    def by_decile(self, unet: Denoiser, name: str, latents: LatentSet) -> dict[str, float]:
        """Loss on some of the latents by tenth of the timesteps, as measures of that name."""
        some = slice(None, None, max(1, len(latents.clean) // MEASURED))
        label = None if latents.labels is None else latents.labels[some].to(self.device)
        captions = latents.captions[some] if self.words and latents.captions else None
        tokens = None if captions is None else self.vocabulary.tokens(captions).to(self.device)
        clean, shown = latents.clean[some].to(self.device), self.condition(latents, some)
        losses = loss_by_decile(unet, clean, self.diffuser, label=label, tokens=tokens, condition=shown)
        return {f"{name}_decile_{number}": loss for number, loss in enumerate(losses)}

    def export(self, unet: Denoiser, finished: int | None) -> None:
        settings, classes = self.request.denoiser, list(self.classes)
        shape = built_as(settings, self.codec, len(classes), len(self.words))
        parts: dict[str, Any] = {"backbone": settings.backbone, "denoiser": shape, "classes": classes}
        parts |= {"words": list(self.words), "prompts": self.prompts, "conditioning": conditioning_of(settings)}
        parts |= {"diffuser": self.diffuser.config()} | ({"defaults": self.defaults} if self.defaults else {})
        parts |= GUIDING["guide"]  # of the denoiser that was there before, if any
        write_checkpoint(self.request, "denoiser", unet, finished, size=self.request.size, **parts)


def write_codec(request: TrainRequest, pictures: PictureSet) -> list[str]:
    """Write the run's codec where `request.out` has none: that of --init if it fits, or pixels; returns what to say."""
    if (request.out / checkpoint.CODEC_WEIGHTS).exists():
        return []
    if request.init and has_codec_for(request, request.init):
        return take_codec(request)
    if request.codec == "pixel":
        write_pixel_codec(request, pictures)
    return []


@torch.inference_mode()
def write_pixel_codec(request: TrainRequest, pictures: PictureSet) -> None:
    """Write the codec that keeps pixels, with the statistics of the training pictures.

    Raises:
        CheckpointError: the pictures' size is no multiple of the stride.
    """
    codec = PixelCodec(request.pixel_stride)
    if request.size % codec.stride:
        raise CheckpointError(f"size {request.size} is no multiple of the pixel codec's stride {codec.stride}.")
    codec.measure_latents(codec.means(image) for image in pictures.batches(ENCODED))
    config = CheckpointConfig(
        size=request.size, codec="pixel", codec_settings={"stride": codec.stride}, about=request.about
    )
    checkpoint.write_config(request.out, config)  # first, as in `write_checkpoint`
    checkpoint.write_weights(request.out / checkpoint.CODEC_WEIGHTS, codec)
