"""What each of two processes does in `test_distributed` when one runs out of memory: the command, with one bad draw.

Started by `torch.distributed.run`, in a process of its own each: `python -m tests.full_run ARGUMENTS`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ddpm_core import cli as options
from ddpm_core.commands import train
from ddpm_core.training.shards import MicroBatch
from ddpm_core.training.stages.vae import VaeStage

FULL = 2  # the step in which the last process has no memory left

plain = VaeStage.loss


def loss(self: VaeStage, model: Any, micro_batch: MicroBatch) -> dict[str, Tensor]:
    if micro_batch.number == FULL and micro_batch.rank == 1:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")
    return plain(self, model, micro_batch)


if __name__ == "__main__":
    VaeStage.loss = loss  # type: ignore[method-assign]
    options.run(train.main)
