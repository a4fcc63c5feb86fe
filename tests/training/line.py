"""The smallest thing that can be trained: a line through 64 points, fitted within 200 steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ddpm_core.training.loop import Trainer
from ddpm_core.training.settings import StageSettings
from ddpm_core.training.shards import MicroBatch

INPUTS = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
TARGETS = INPUTS @ torch.tensor([[1.0], [-2.0], [0.5]]) + 3


def settings(**changes: Any) -> StageSettings:
    return StageSettings(**{"iterations": 200, "learning_rate": 0.1, "warmup": 5, "batch_size": 8} | changes)


def trainer(**changes: Any) -> Trainer:
    torch.manual_seed(0)
    return Trainer(nn.Linear(3, 1), settings(**changes), "fp32")


def fit(model: nn.Module, micro_batch: MicroBatch) -> dict[str, Tensor]:
    """A loss that is the same whenever it is asked for, on one example after the other."""
    rows = micro_batch.take(torch.arange(8 * micro_batch.number, 8 * micro_batch.number + 8) % 64)
    return {"loss": (model(INPUTS[rows]) - TARGETS[rows]).square().mean()}


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
