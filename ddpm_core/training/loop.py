"""The training loop, one for both stages: mixed precision, EMA, clipping, accumulation, resumable.

`train` is a generator: it yields after every optimiser step and leaves showing, logging and sampling to
its consumer. All randomness of micro-batch k is a function of (seed, k), so a resumed run needs no saved
generator state to continue exactly as the uninterrupted one would, and a micro-batch can be computed again, in parts.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from ddpm_core.checkpoints.native import CheckpointError, read_tensors, write_tensors
from ddpm_core.errors import UserError
from ddpm_core.machine import Precision, memory_is_full, resolve_precision
from ddpm_core.training.distributed import ALONE, World
from ddpm_core.training.settings import StageSettings
from ddpm_core.training.shards import Loss, Memory

MAX_SKIPPED_IN_A_ROW = 50
NOTHING: Mapping[str, str] = MappingProxyType({})


class TrainingError(UserError):
    """Training cannot go on; the message is one sentence that says what to do."""


@dataclass
class TrainStep:
    """What one optimiser step did; `step` and `skipped` count from the start of the run, `taken` is of this one.

    `parts` is in how many every micro-batch was computed, one after the other, because it is too large for the memory.
    """

    step: int
    losses: dict[str, float]
    learning_rate: float
    gradient_norm: float
    skipped: int
    taken: bool = True
    parts: int = 1


def batch_index(number: int, batch_size: int, count: int, seed: int) -> Tensor:
    """Which of `count` examples micro-batch `number` has: every epoch a new permutation, epochs joined end to end."""
    positions = range(number * batch_size, (number + 1) * batch_size)
    return torch.tensor([_epoch_order(p // count, count, seed)[p % count] for p in positions])


def steps_taken(state: Path) -> int:
    """How many steps a run has taken that `Trainer.save` wrote to a file; 0 without one. Raises `CheckpointError`."""
    return json.loads(read_tensors(state)[1].get("progress", "{}")).get("step", 0) if state.exists() else 0


@lru_cache(maxsize=2)
def _epoch_order(epoch: int, count: int, seed: int) -> list[int]:
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch)).tolist()


def learning_rate_at(step: int, settings: StageSettings) -> float:
    """Linear warm-up, then half a cosine down to a hundredth of the peak at the last iteration."""
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
    """A model with everything that must survive an interruption: weights, EMA, optimiser, scaler, memory, step.

    Args:
        model: the model to train, already on its device.
        settings: of the stage.
        precision: autocast type, "auto" to choose by machine.
        seed: of everything random in the run.
        world: the processes that train together; `settings.batch_size` is that of all of them.
        memory: buffers of what the loss remembers from step to step, if anything.
    """

    def __init__(
        self,
        model: nn.Module,
        settings: StageSettings,
        precision: Precision = "auto",
        seed: int = 0,
        world: World = ALONE,
        memory: Memory | None = None,
    ):
        self.model, self.settings, self.seed, self.world = model, settings, seed, world
        self.device = next(model.parameters()).device
        self.dtype = resolve_precision(precision, self.device)
        self.ema = AveragedModel(model, multi_avg_fn=ema_with_warmup(settings.ema_decay), use_buffers=False)
        self.optimizer = torch.optim.AdamW(
            model.parameters(), settings.learning_rate, (0.9, 0.99), weight_decay=settings.weight_decay, fused=True
        )
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)
        self.memory = memory or Memory()
        self.step = 0
        self.skipped = 0
        self.parts = 1

    def train(self, loss: Loss) -> Iterator[TrainStep]:
        """Run the remaining iterations; `loss(model, draw)` gives the terms of what is drawn.

        The term named "loss" is minimised; each draw, of several processes or parts, gives the mean over its share of
        the micro-batch, and what is minimised, reported and judged is the mean over all. A step whose loss or
        gradient is not finite is skipped and counted. A step that fills the memory is taken again in smaller parts.

        Raises:
            TrainingError: many steps in a row were not finite; the memory is too small.
        """
        self.model.train()
        objective = self.world.objective(self.model, loss)
        skipped_in_a_row = 0
        while self.step < self.settings.iterations:
            rate = learning_rate_at(self.step, self.settings)
            for group in self.optimizer.param_groups:
                group["lr"] = rate

            totals = self.world.mean(self.fitting_gradients(objective))
            self.memory.settle(self.world.together)
            self.scaler.unscale_(self.optimizer)
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
            if torch.isfinite(norm) and torch.isfinite(totals["loss"]):
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
            losses = {name: value.item() for name, value in totals.items()}
            taken = skipped_in_a_row == 0
            yield TrainStep(self.step, losses, rate, norm.item(), self.skipped, taken, self.parts)

    def fitting_gradients(self, objective: nn.Module) -> dict[str, Tensor]:
        """As `gradients`, again in smaller parts whenever the memory is full.

        Raises:
            TrainingError: the parts cannot be smaller, or other processes wait for this one's gradients.
        """
        while True:
            try:
                return self.gradients(objective)
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

    def gradients(self, objective: nn.Module) -> dict[str, Tensor]:
        """Leave the next step's gradients in the parameters; the terms of its loss, averaged over what was drawn."""
        first = self.step * self.settings.accumulate
        draws = [
            draw
            for number in range(first, first + self.settings.accumulate)
            for draw in self.world.draws(number, self.settings.batch_size, self.parts)
        ]
        totals: dict[str, Tensor] = {}
        self.memory.begin()
        self.optimizer.zero_grad(set_to_none=True)
        for draw in draws:
            torch.manual_seed((self.seed << 32) + draw.number)
            with self.world.averaging(objective, now=draw is draws[-1]):
                with self.autocast():
                    terms = objective(draw)
                self.scaler.scale(terms["loss"] / len(draws)).backward()
            for name, term in terms.items():
                totals[name] = totals.get(name, 0) + term.detach() / len(draws)
        return totals

    def divide(self) -> None:
        """Compute every micro-batch in at least twice as many parts, equally large; what is learned stays the same.

        Raises:
            TrainingError: the parts are single pictures already.
        """
        most = self.settings.batch_size // self.world.size
        smaller = [parts for parts in range(2 * self.parts, most + 1) if most % parts == 0]
        if not smaller:
            raise TrainingError(
                "Even a batch of one does not fit into the memory; choose a smaller --size or smaller numbers in "
                "--vae-channels and --denoiser-channels."
            )
        self.parts = smaller[0]

    def autocast(self):
        """Context in which the model computes in the run's precision."""
        if self.dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    def save(self, path: Path, basis: Mapping[str, str] = NOTHING) -> None:
        """Write everything needed to continue into one safetensors file, atomically; `basis` is kept for `load`."""
        tensors = {f"model.{name}": t for name, t in self.model.state_dict().items()}
        tensors |= {f"ema.{name}": t for name, t in self.ema.module.state_dict().items()}
        tensors |= {f"memory.{name}": t for name, t in self.memory.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": t for name, t in state.items()}
        progress = {"step": self.step, "skipped": self.skipped, "averaged": int(self.ema.n_averaged)}
        progress["parts"] = self.parts
        notes = {"progress": progress, "scaler": self.scaler.state_dict(), "basis": dict(basis)}
        write_tensors(path, tensors, {name: json.dumps(note) for name, note in notes.items()})

    def load(self, path: Path) -> dict[str, str]:
        """Continue from what `save` wrote; returns the `basis` it was given.

        Raises:
            CheckpointError: the file is missing, damaged or from a differently built model.
        """
        tensors, metadata = read_tensors(path)
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "ema": {}, "memory": {}, "optimizer": {}}
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            parts.setdefault(part, {})[rest] = tensor
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in parts["optimizer"].items():
            number, _, key = name.partition(".")
            state.setdefault(int(number), {})[key] = tensor
        # The fused kernel pairs entries by their place in memory, so moments must be laid out as their parameters.
        for index, parameter in enumerate(self.model.parameters()):
            moments = state.get(index, {})  # none of what is not trained
            for key, tensor in moments.items():
                if tensor.ndim and tensor.shape != parameter.shape:
                    raise CheckpointError(
                        f"{path} belongs to a run whose layers were others, as in earlier versions; begin anew, or "
                        "take its weights along with --init."
                    )
                if tensor.ndim:
                    moments[key] = torch.empty_like(parameter, requires_grad=False).copy_(tensor)
        try:
            progress = json.loads(metadata["progress"])
            self.model.load_state_dict(parts["model"])
            self.ema.module.load_state_dict(parts["ema"])
            self.memory.load_state_dict(parts["memory"], strict=False)  # a run may remember other things from here on
            groups = self.optimizer.state_dict()["param_groups"]
            self.optimizer.load_state_dict({"state": state, "param_groups": groups})
            self.scaler.load_state_dict(json.loads(metadata["scaler"]))
        except (RuntimeError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]
            raise CheckpointError(f"{path} belongs to a run with other settings: {reason}.") from None
        self.step, self.skipped = progress["step"], progress["skipped"]
        self.parts = progress.get("parts", 1)
        if self.settings.batch_size % (self.world.size * self.parts):  # those of another batch, or of more processes
            self.parts = 1
        self.ema.n_averaged.fill_(progress["averaged"])
        return json.loads(metadata.get("basis", "{}"))
