"""Data-parallel training: several processes share every batch and learn what one would.

DistributedDataParallel averages the gradients of their shards (Li et al. 2020, https://arxiv.org/abs/2006.15704).
"""

from __future__ import annotations

import contextlib
import gc
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from ddpm_core.errors import UserError
from ddpm_core.training.shards import Loss, MicroBatch, Shard

GONE = re.compile("connection (closed|reset) by peer", re.IGNORECASE)  # gloo's words; it has no exception of its own
PATIENCE = timedelta(hours=2)  # for the first process, which alone measures and writes between two steps


class Objective(nn.Module):
    """A model and what it is to minimise as one module: DistributedDataParallel looks at calls of forward only."""

    def __init__(self, model: nn.Module, loss: Loss):
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, micro_batch: MicroBatch) -> dict[str, Tensor]:
        return self.loss(self.model, micro_batch)


@dataclass(frozen=True)
class World(Shard):
    """The processes of a training run, seen from number `rank` of `size`; only the main one, 0, writes and shows."""

    # In which the few numbers that they exchange travel.
    buffer: Tensor = field(default_factory=lambda: torch.zeros(256), repr=False, compare=False)

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def micro_batches(self, number: int, batch_size: int, chunks: int = 1) -> list[MicroBatch]:
        """This process's shard of micro-batch `number`, in equal chunks."""
        ranks = range(self.rank * chunks, (self.rank + 1) * chunks)
        return [MicroBatch(rank, self.size * chunks, number, batch_size) for rank in ranks]

    def objective(self, model: nn.Module, loss: Loss) -> Objective | DistributedDataParallel:
        """What to call for the terms of a micro-batch; gradients come out averaged over the processes."""
        objective = Objective(model, loss)
        return objective if self.size == 1 else DistributedDataParallel(objective)

    def gradient_sync(self, objective: nn.Module, now: bool) -> contextlib.AbstractContextManager[None]:
        """Around a forward and backward pass: gradients travel `now`, or wait for a later micro-batch."""
        if now or not isinstance(objective, DistributedDataParallel):
            return contextlib.nullcontext()
        return objective.no_sync()

    def mean(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """Scalars, averaged over the processes: the same on all, not finite on all if on one."""
        if self.size == 1:
            return terms
        return dict(zip(terms, self._all_reduce(torch.stack(list(terms.values()))) / self.size, strict=True))

    def gather(self, rows: Tensor) -> Tensor:
        """Numbers (B,), one per row of the batch, from each process's (B/size,)."""
        if self.size == 1:
            return rows
        gathered = torch.zeros(len(rows) * self.size)  # (B,)
        gathered[self.rows(len(gathered))] = rows.detach().cpu().float()
        return torch.cat([self._all_reduce(some) for some in gathered.split(len(self.buffer))])

    def any(self, wish: bool) -> bool:
        """Whether any process wishes it; all wait for the answer."""
        return wish if self.size == 1 else bool(self._all_reduce(torch.tensor([float(wish)])))

    def barrier(self) -> None:
        self.any(False)

    def _all_reduce(self, values: Tensor) -> Tensor:
        # gloo's thread may drop its hold on a tensor last, and then asks for the interpreter, which must not be just
        # ending: so what is sent outlives the connection.
        self.buffer[: len(values)] = values.detach()
        distributed.all_reduce(self.buffer)
        return self.buffer[: len(values)].clone()


ALONE = World()


def launched() -> World:
    """The world that `torchrun` says in the environment."""
    return World(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))


@contextlib.contextmanager
def process_group(world: World, device: torch.device) -> Iterator[None]:
    """Connect the processes: gloo for CPU tensors, NCCL for GPU tensors, one GPU per process.

    Raises:
        UserError: fewer GPUs than processes, or the launcher did not say where to meet.
        ConnectionError: another process has ended.
    """
    if world.size == 1:
        yield
        return
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"several processes cannot share a batch on {device.type}; use --device cpu or CUDA GPUs.")
    if device.type == "cuda" and device.index is None:
        local = int(os.environ.get("LOCAL_RANK", 0))
        if local >= torch.cuda.device_count():
            raise UserError(
                f"there is no GPU for process {local} of this machine, which has {torch.cuda.device_count()}; "
                "start fewer with --nproc-per-node or train with --device cpu."
            )
        torch.cuda.set_device(local)
    distributed.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield
    except RuntimeError as error:
        if not GONE.search(str(error)):
            raise
        raise ConnectionError("another of the processes has ended, so this one ends too.") from None
    finally:
        distributed.destroy_process_group()
        gc.collect()  # DistributedDataParallel sits in cycles that hold gloo's threads, which must not outlive Python
