"""What a command says of memory that is full: once that it goes on in parts, or in a sentence why it ends."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.commands import train
from ddpm_core.training import memory_budget
from ddpm_core.training.memory_budget import divided, full_memory_in_one_sentence
from ddpm_core.training.stages.vae import VaeStage


def test_the_sentence() -> None:
    assert divided(64, 2) == "The batch of 64 does not fit; going on with 2 x 32."


def test_the_command_says_it_once_and_goes_on(call, picture_folder: Path, tmp_path: Path, full) -> None:
    full("vae", lambda micro_batch: micro_batch.size == 1)
    command = ["--data", picture_folder, "--out", tmp_path / "run", "--preset", "tiny", "--device", "cpu"]
    outcome = call(train.main, *command, "--stage", "vae", "--batch-size", 6, "--iterations", 3)
    assert outcome.status == 0
    assert outcome.out.count("The batch of 6 does not fit; going on with 2 x 3.") == 1
    assert outcome.out.count("does not fit") == 1
    assert (tmp_path / "run" / checkpoint.CODEC_WEIGHTS).is_file()


def test_the_command_ends_with_a_sentence_if_nothing_fits(
    call, picture_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["--data", picture_folder, "--out", tmp_path / "run", "--preset", "tiny", "--stage", "vae"]
    with monkeypatch.context() as little:
        little.setattr(memory_budget, "available_memory", lambda: 0)
        outcome = call(train.main, *command, "--device", "cpu")
    assert outcome.status == 2
    assert "Error: Even a batch of one does not fit into the memory; choose a smaller --size" in outcome.err
    assert "Traceback" not in outcome.err

    def evaluate(self: VaeStage, vae: nn.Module, grid: Path) -> dict[str, float]:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB. See the documentation.")

    monkeypatch.setattr(VaeStage, "evaluate", evaluate)
    outcome = call(train.main, *command, "--device", "cpu", "--iterations", 1)
    assert outcome.status == 2
    assert "Error: The memory is full; close what else uses it, or choose a smaller --size" in outcome.err
    assert "Traceback" not in outcome.err


def test_other_errors_are_left_as_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes"), full_memory_in_one_sentence():
        raise RuntimeError("shapes")
    assert memory_budget.SPARE > 1
