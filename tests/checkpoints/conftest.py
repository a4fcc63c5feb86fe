"""What the tests of pipelines that diffusers saved share."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import (
    LDMPipeline,
)

from ddpm_core.networks.cpu import packed as inference
from tests.tiny_pipelines import autoencoder, ddim, unet


@pytest.fixture
def in_full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks are used in fp32, whatever this machine is fast in, so that results can be compared closely."""
    monkeypatch.setattr(inference, "resolve_precision", lambda precision, device: torch.float32)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A latent pipeline that the test may spoil."""
    LDMPipeline(autoencoder(), unet(2), ddim()).save_pretrained(tmp_path / "own")
    return tmp_path / "own"
