"""A batch computed in equal shards, by several processes or one after the other, as if at once.

Each shard draws the random numbers of the whole batch and cuts them: their number changes only rounding and dropout.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ddpm_core.errors import UserError


@dataclass(frozen=True)
class Shard:
    """One of `size` equal shards of every batch, number `rank`; by default all of it."""

    rank: int = 0
    size: int = 1

    def rows(self, batch_size: int) -> slice:
        """This shard's rows. Raises `UserError` if shards cannot be equally large."""
        if batch_size % self.size:
            raise UserError(
                f"a batch of {batch_size} cannot be shared evenly by {self.size} processes; "
                f"choose a --batch-size that is a multiple of {self.size}."
            )
        each = batch_size // self.size
        return slice(self.rank * each, (self.rank + 1) * each)

    def take(self, batch: Tensor) -> Tensor:
        """This shard's rows (B/size, ...) of a batch (B, ...); raises as `rows` does."""
        return batch[self.rows(len(batch))]

    def randn_like(self, rows: Tensor) -> Tensor:
        """Normal noise for this shard's rows (B/size, ...), cut from that of the whole batch."""
        return self.take(torch.randn_like(torch.cat([rows] * self.size)))

    @contextlib.contextmanager
    def fork_rng(self) -> Iterator[None]:
        """Inside, each shard has random numbers of its own, for dropout; after, all are where they were."""
        if self.size == 1:
            yield
            return
        with torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_available() else []):
            torch.manual_seed(int(torch.randint(2**62, ())) + self.rank)
            yield


WHOLE = Shard()


@dataclass(frozen=True)
class MicroBatch(Shard):
    """What is computed at once: micro-batch `number` of the run, of `batch_size` pictures, or a shard of it."""

    number: int = 0
    batch_size: int = 1


class LossState(nn.Module):
    """What a loss remembers from step to step, in buffers; it changes once the step is whole, for all shards alike."""

    def discard_pending(self) -> None:
        """Forget what was noted since the last `commit`: a step begins, perhaps anew."""

    def commit(self, gather: Callable[[Tensor], Tensor]) -> None:
        """Take in what was noted; `gather` makes one row of numbers of those that each process has, in order."""


Loss = Callable[[Any, MicroBatch], dict[str, Tensor]]  # of a model, on a micro-batch
