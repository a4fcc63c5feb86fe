"""What the tests of training share: a few pictures, and a checkpoint that learned from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ddpm_core.data.load import PictureSet
from ddpm_core.training.pictures import Pictures
from ddpm_core.training.shards import MicroBatch
from ddpm_core.training.stages.denoiser import DenoiserStage
from ddpm_core.training.stages.vae import VaeStage
from tests.training.small_runs import request_for, run_all

STAGES = {"vae": VaeStage, "denoiser": DenoiserStage}
COUNTED = 2  # pictures in the larger of the batches that memory is counted on


@pytest.fixture(scope="session")
def pictures() -> Pictures:
    """Ten blurred pictures of noise to train on, and two held out."""
    generator = torch.Generator().manual_seed(0)
    small = torch.rand(12, 3, 4, 4, generator=generator)
    pixels = (nn.functional.interpolate(small, size=(16, 16), mode="bilinear") * 255).to(torch.uint8)
    return Pictures(PictureSet(pixels[:10], []), PictureSet(pixels[10:], []), 10)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, pictures: Pictures) -> Path:
    """A checkpoint folder both stages of which ran to their end; tests only read it."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    run_all("vae", request_for(out), pictures)
    run_all("denoiser", request_for(out), pictures)
    return out


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has a stage's loss run out of memory where `when` of what it draws is true, but for what is only counted."""

    def have(stage: str, when: Callable[[MicroBatch], bool]) -> None:
        plain = STAGES[stage].loss

        def loss(self: Any, model: Any, micro_batch: MicroBatch) -> dict[str, Tensor]:
            if micro_batch.batch_size > COUNTED and when(micro_batch):
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")
            return plain(self, model, micro_batch)

        monkeypatch.setattr(STAGES[stage], "loss", loss)

    return have
