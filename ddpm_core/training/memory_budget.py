"""How much memory training takes, counted before it starts, and batches divided so that they fit.

What autograd keeps for the backward pass grows with the batch, so two small ones tell of a large one. Not counted are
short-lived tensors, slack, and what Python and drivers take.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ddpm_core import machine
from ddpm_core.machine import available_memory, give_back_freed_memory
from ddpm_core.training.loop import Trainer, TrainingError
from ddpm_core.training.shards import Loss, MicroBatch

SPARE = 1.5  # bytes to have for each that is kept for the backward pass: with the uncounted, 1.2 to 1.5 were measured


class SavedTensors:
    """Counts storages that autograd saves, each once, and not the model's own."""

    def __init__(self, model: nn.Module):
        self.own = {tensor.untyped_storage().data_ptr() for tensor in [*model.parameters(), *model.buffers()]}
        self.storages: dict[int, torch.UntypedStorage] = {}  # held, so that no address is given out twice

    def keep(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.own:
            self.storages[storage.data_ptr()] = storage
        return tensor

    def total(self) -> int:
        return sum(storage.nbytes() for storage in self.storages.values())


def saved_for_backward(trainer: Trainer, loss: Loss, count: int) -> int:
    """Bytes that autograd keeps between the forward and the backward pass on `count` pictures, weights apart."""
    counter = SavedTensors(trainer.model)
    trainer.model.train()
    with torch.autograd.graph.saved_tensors_hooks(counter.keep, lambda tensor: tensor), trainer.autocast():
        terms = loss(trainer.model, MicroBatch(batch_size=count))
    found = counter.total()
    del terms
    return found


@dataclass(frozen=True)
class Needs:
    """Bytes that training holds at once, by what they are for."""

    weights: int
    gradients: int
    average: int
    moments: int
    saved: int  # whatever the batch
    saved_each: int  # more for every picture of the batch

    def activations(self, count: int) -> float:
        """Bytes that a pass of `count` pictures takes, with all that lives too short to be counted."""
        return SPARE * (self.saved + self.saved_each * count)

    def by_purpose(self, count: int) -> dict[str, int]:
        return {
            "weights": self.weights,
            "gradients": self.gradients,
            "moving average": self.average,
            "optimiser": self.moments,
            "kept for backward, whatever the batch": self.saved,
            "kept for backward, by the batch": self.saved_each * count,
        }


def needs_of(trainer: Trainer, loss: Loss) -> Needs:
    """What training takes, counted on batches of one and two pictures; random numbers are drawn."""
    one, two = (saved_for_backward(trainer, loss, count) for count in (1, 2))
    learned = sum(parameter.nbytes for parameter in trainer.model.parameters() if parameter.requires_grad)
    return Needs(
        weights=sum(parameter.nbytes for parameter in trainer.model.parameters()),
        gradients=learned,
        average=sum(parameter.nbytes for parameter in trainer.ema.module.parameters()),
        moments=2 * learned,
        saved=max(0, 2 * one - two),
        saved_each=two - one,
    )


def fit(trainer: Trainer, loss: Loss) -> None:
    """Divide the trainer's batches as the free main memory asks for. Raises `TrainingError` if not one picture fits.

    On CPU alone, where the system ends the program when memory is full.
    """
    if trainer.device.type != "cpu" or trainer.step >= trainer.settings.iterations:
        return
    give_back_freed_memory()
    needs, free = needs_of(trainer, loss), available_memory()
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", 1))  # processes on this machine, in torchrun's words
    held = bool(trainer.optimizer.state)  # of a run resumed

    def too_large() -> bool:
        each = trainer.settings.batch_size // (trainer.world.size * trainer.chunks)
        needed = needs.gradients + (0 if held else needs.moments) + needs.activations(each)
        return free is not None and beside * needed > free

    while trainer.world.any(too_large()):
        trainer.divide()


def divided(batch_size: int, chunks: int) -> str:
    return f"The batch of {batch_size} does not fit; going on with {chunks} x {batch_size // chunks}."


@contextmanager
def full_memory_in_one_sentence() -> Iterator[None]:
    """Around a run: memory that is full where no smaller batch can help becomes a `TrainingError`."""
    try:
        yield
    except RuntimeError as error:
        if not machine.memory_is_full(error):
            raise
        raise TrainingError(
            "The memory is full; close what else uses it, or choose a smaller --size or smaller numbers in "
            "--vae-channels and --denoiser-channels."
        ) from None
