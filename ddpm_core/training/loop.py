"""The training loop of all stages: mixed precision, EMA, clipping, accumulation, resumable.

All randomness of micro-batch k is a function of (seed, k), so a resumed run continues exactly, and a micro-batch can be
computed again, in chunks.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from ddpm_core.errors import UserError
from ddpm_core.machine import Precision, memory_is_full, resolve_precision
from ddpm_core.training.distributed import ALONE, World
from ddpm_core.training.shards import Loss, LossState
from ddpm_core.training.stage_settings import StageSettings

MAX_SKIPPED_IN_A_ROW = 50


class TrainingError(UserError):
    """Training cannot go on."""


@dataclass
class TrainStep:
    """What one optimiser step did; `step` and `skipped` count from the start of the run, `taken` is of this one.

    Every micro-batch was computed in `chunks`.
    """

    step: int
    losses: dict[str, float]
    learning_rate: float
    gradient_norm: float
    skipped: int
    taken: bool = True
    chunks: int = 1


def batch_index(number: int, batch_size: int, count: int, seed: int) -> Tensor:
    """Which of `count` examples micro-batch `number` has: a new permutation every epoch, joined end to end."""
    positions = torch.arange(number * batch_size, (number + 1) * batch_size)  # (B,)
    epochs = range(number * batch_size // count, int(positions[-1]) // count + 1)
    return torch.cat([_epoch_order(e, count, seed)[positions[positions // count == e] % count] for e in epochs])


@lru_cache(maxsize=2)
def _epoch_order(epoch: int, count: int, seed: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))


def learning_rate_at(step: int, settings: StageSettings) -> float:
    """Linear warm-up, then half a cosine down to a hundredth of the peak."""
    warm = min(1.0, (step + 1) / max(1, settings.warmup))
    progress = min(1.0, step / max(1, settings.iterations))
    return settings.learning_rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


def ema_with_warmup(decay: float):
    """Update rule for `AveragedModel`: decay min(decay, (1+n)/(10+n)), so early weights are soon forgotten."""

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], count: Tensor | int) -> None:
        n = float(count)
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + n) / (10 + n)))

    return update


class Trainer:
    """A model with all that must survive an interruption: weights, EMA, optimiser, scaler, loss state, step.

    Args:
        precision: autocast type; "auto" chooses by machine.
        world: the processes that train together; `settings.batch_size` is that of all.
        loss_state: buffers of what the loss remembers from step to step.
    """

    def __init__(
        self,
        model: nn.Module,
        settings: StageSettings,
        precision: Precision = "auto",
        seed: int = 0,
        world: World = ALONE,
        loss_state: LossState | None = None,
    ):
        self.model, self.settings, self.seed, self.world = model, settings, seed, world
        self.device = next(model.parameters()).device
        self.dtype = resolve_precision(precision, self.device)
        self.ema = AveragedModel(model, multi_avg_fn=ema_with_warmup(settings.ema_decay), use_buffers=False)
        self.optimizer = torch.optim.AdamW(
            model.parameters(), settings.learning_rate, (0.9, 0.99), weight_decay=settings.weight_decay, fused=True
        )
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)
        self.loss_state = loss_state or LossState()
        self.step = 0
        self.skipped = 0
        self.chunks = 1

    def train(self, loss: Loss) -> Iterator[TrainStep]:
        """Run the remaining iterations; `loss(model, micro_batch)` gives the mean terms of a shard's rows.

        A step that is not finite is skipped; one that fills the memory is taken again in smaller chunks. Raises
        `TrainingError` after many skipped ones, or if the memory is too small.
        """
        self.model.train()
        objective = self.world.objective(self.model, loss)
        skipped_in_a_row = 0
        while self.step < self.settings.iterations:
            rate = learning_rate_at(self.step, self.settings)
            for group in self.optimizer.param_groups:
                group["lr"] = rate

            # Draw pictures, add noise, predict it, compare (all of that is `loss`), and leave gradients behind.
            terms = self.world.mean(self.accumulate_gradients(objective))
            self.loss_state.commit(self.world.gather)

            self.scaler.unscale_(self.optimizer)
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)

            if torch.isfinite(norm) and torch.isfinite(terms["loss"]):
                self.scaler.step(self.optimizer)
                self.ema.update_parameters(self.model)
                skipped_in_a_row = 0
            else:
                self.skipped += 1
                skipped_in_a_row += 1
                if skipped_in_a_row > MAX_SKIPPED_IN_A_ROW:
                    raise TrainingError(
                        f"{skipped_in_a_row} steps in a row gave numbers that are not finite; "
                        "resume with a lower learning rate or --precision fp32."
                    )
            self.scaler.update()

            self.step += 1
            losses = {name: value.item() for name, value in terms.items()}
            taken = skipped_in_a_row == 0
            yield TrainStep(self.step, losses, rate, norm.item(), self.skipped, taken, self.chunks)

    def accumulate_gradients(self, objective: nn.Module) -> dict[str, Tensor]:
        """Leave the next step's gradients in the parameters; returns the mean terms of its loss.

        Raises `TrainingError` if memory is full and chunks cannot be smaller, or other processes wait.
        """
        while True:
            try:
                return self._forward_backward(objective)
            except RuntimeError as error:
                if not memory_is_full(error):
                    raise
            # Out of the handler, for the error holds on to the functions it came through, and they to their tensors.
            torch.cuda.empty_cache()
            if self.world.size > 1:
                raise TrainingError(
                    f"A batch of {self.settings.batch_size} does not fit into the memory of process {self.world.rank}; "
                    "resume with a smaller --batch-size, which --vae-accumulate or --denoiser-accumulate make up for."
                )
            self.divide()

    def _forward_backward(self, objective: nn.Module) -> dict[str, Tensor]:
        first = self.step * self.settings.accumulate
        micro_batches = [
            shard
            for number in range(first, first + self.settings.accumulate)
            for shard in self.world.micro_batches(number, self.settings.batch_size, self.chunks)
        ]
        totals: dict[str, Tensor] = {}
        self.loss_state.discard_pending()
        self.optimizer.zero_grad(set_to_none=True)
        for micro_batch in micro_batches:
            torch.manual_seed((self.seed << 32) + micro_batch.number)
            with self.world.gradient_sync(objective, now=micro_batch is micro_batches[-1]):
                with self.autocast():
                    terms = objective(micro_batch)
                self.scaler.scale(terms["loss"] / len(micro_batches)).backward()
            for name, term in terms.items():
                totals[name] = totals.get(name, 0) + term.detach() / len(micro_batches)
        return totals

    def divide(self) -> None:
        """Compute micro-batches in at least twice as many, equal chunks. Raises `TrainingError` if they are single
        pictures.
        """
        most = self.settings.batch_size // self.world.size
        smaller = [chunks for chunks in range(2 * self.chunks, most + 1) if most % chunks == 0]
        if not smaller:
            raise TrainingError(
                "Even a batch of one does not fit into the memory; choose a smaller --size or smaller numbers in "
                "--vae-channels and --denoiser-channels."
            )
        self.chunks = smaller[0]

    def autocast(self):
        if self.dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self.dtype)
