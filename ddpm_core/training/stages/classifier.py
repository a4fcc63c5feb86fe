"""A classifier of noisy latents, by whose gradient a checkpoint is guided to its classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.samplers import last
from ddpm_core.images.files import contact_sheet
from ddpm_core.machine import pick_device
from ddpm_core.networks.codec import Codec
from ddpm_core.networks.layers import placed
from ddpm_core.networks.noisy_classifier import NoisyClassifier
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest
from ddpm_core.training.distributed import ALONE, World
from ddpm_core.training.initialization import take_checkpoint
from ddpm_core.training.loop import batch_index
from ddpm_core.training.pictures import Pictures
from ddpm_core.training.resume import refuse_other_classes
from ddpm_core.training.settings import ClassifierSettings, TrainRequest
from ddpm_core.training.shards import LossState, MicroBatch
from ddpm_core.training.stages.latents import LatentSet, encode_pictures
from ddpm_core.training.stages.stage import record, save_grid, weights_file

TENTHS = 10  # of the timesteps that held-out latents are noised to
MEASURED = 512  # held-out latents to measure on, at most, each at every tenth
SHOWN, GUIDANCE = 8, 4.0  # classes in a sample grid, and how far each is guided to


@dataclass
class ClassifierStage:
    """Trains a classifier on noised latents of a checkpoint's codec; `prepare` makes one from a request."""

    request: TrainRequest
    model: NoisyClassifier
    codec: Codec
    diffuser: Diffuser
    # train, held_out: latents with their classes, one beyond the last where it is not known; `held_out` may be None
    train: LatentSet
    held_out: LatentSet | None = None
    classes: tuple[str, ...] = ()
    basis: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    loss_state: LossState | None = None

    def __post_init__(self) -> None:
        self.device = next(self.model.parameters()).device

    @classmethod
    def prepare(cls, request: TrainRequest, pictures: Pictures, world: World = ALONE) -> ClassifierStage:
        """The stage for the checkpoint in `request.out`, or a copy there of that of --init.

        Raises `CheckpointError` if that has no classes, or pictures do not fit it.
        """
        (config, notes), device = take_checkpoint(request, "classifier", world), pick_device(request.device)
        if not config.classes:
            raise CheckpointError(f"{request.out} has no classes, so there is nothing to guide it to.")
        refuse_other_classes(request.out, pictures.classes)
        codec, diffuser = checkpoint.load_codec(request.out, device), checkpoint.load_diffuser(request.out)
        torch.manual_seed(request.seed)
        arguments = shape_of(request.classifier, codec, len(config.classes))
        model = placed(checkpoint.build(NoisyClassifier, arguments, request.out), device)
        train, held_out = encode_pictures(request, codec, pictures, world)
        return cls(request, model, codec, diffuser, train, held_out, tuple(config.classes), dict(pictures.basis), notes)

    def loss(self, model: NoisyClassifier, micro_batch: MicroBatch) -> dict[str, Tensor]:
        """Cross entropy of the classes, at timesteps drawn evenly."""
        assert self.train.labels is not None
        index = batch_index(micro_batch.number, micro_batch.batch_size, len(self.train.clean), self.request.seed)
        t = torch.randint(1, self.diffuser.num_timesteps, (len(index),))  # (B,)
        clean = self.train.clean[index]  # (B, C, h, w)
        noisy = self.diffuser.add_noise(clean, torch.randn_like(clean), t)
        noisy, t, labels = (micro_batch.take(each) for each in (noisy, t, self.train.labels[index]))
        with micro_batch.fork_rng():
            output = model(noisy.to(self.device, memory_format=torch.channels_last), t.to(self.device))  # (B, K)
        labels = labels.to(self.device)
        errors = F.nll_loss(output, labels, ignore_index=len(self.classes), reduction="sum") / len(labels)
        right = (output.argmax(1) == labels).float().mean()
        return {"loss": errors, "accuracy": right}

    @torch.inference_mode()
    def evaluate(self, model: NoisyClassifier, grid: Path) -> dict[str, float]:
        """Samples guided by it alone as a picture; how much of held-out latents it reads right, by tenth of the
        timesteps too.
        """
        self.show(model, grid)
        if self.held_out is None or self.held_out.labels is None:
            return {}
        known = (self.held_out.labels < len(self.classes)).nonzero().flatten()  # (M,)
        some = known[:: max(1, len(known) // MEASURED)]
        if not len(some):
            return {}
        clean, labels = self.held_out.clean[some], self.held_out.labels[some]  # (N, C, h, w), (N,)
        states, losses, right = self.diffuser.num_timesteps - 1, [], []
        for tenth in range(TENTHS):
            t = torch.full((len(some),), 1 + round((tenth + 0.5) / TENTHS * (states - 1)))  # (N,)
            eps = torch.randn(clean.shape, generator=torch.Generator().manual_seed(tenth))
            output = model(self.diffuser.add_noise(clean, eps, t).to(self.device), t.to(self.device)).cpu()  # (N, K)
            losses.append(F.nll_loss(output, labels).item())
            right.append((output.argmax(1) == labels).double().mean().item())
        by_tenth = {f"held_out_accuracy_{tenth}": fraction for tenth, fraction in enumerate(right)}
        return {
            "held_out_loss": sum(losses) / TENTHS,
            "held_out_accuracy": sum(right) / TENTHS,
            **by_tenth,
        }

    def show(self, model: NoisyClassifier, grid: Path) -> None:
        """A row for each of some classes; nothing without a denoiser."""
        if not (self.request.out / checkpoint.DENOISER_WEIGHTS).exists():
            return
        guided = LatentDiffusion.load(self.request.out, str(self.device))
        guided.classifier = model
        asked = GenerateRequest(
            count=SHOWN, guidance=0 if guided.unconditional else 1, classifier_guidance=GUIDANCE, steps=10
        )
        rows = [
            last(guided.generate(asked.model_copy(update={"label": label}))).latent
            for label in self.classes[:: len(self.classes) // SHOWN + 1]
        ]
        save_grid(contact_sheet(guided.codec.decode(torch.cat(rows)), SHOWN), grid)

    def export(self, model: NoisyClassifier, finished: int | None) -> None:
        """Write weights, then config: killed in between, a checkpoint without a classifier is what it was."""
        checkpoint.write_weights(weights_file(self.request.out, "classifier"), model, finished)
        arguments = shape_of(self.request.classifier, self.codec, len(self.classes))
        record(self.request, "classifier", classifier=arguments)


def shape_of(settings: ClassifierSettings, codec: Codec, classes: int) -> dict[str, object]:
    shape = {name: getattr(settings, name) for name in settings.SHAPE}
    return shape | {"latent_channels": codec.latent_channels, "classes": classes}
