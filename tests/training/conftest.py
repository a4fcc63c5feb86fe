"""What the tests of training share: a few pictures, and a checkpoint that learned from them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from ddpm_core.data.load import PictureSet
from ddpm_core.training.pictures import Pictures
from tests.training.small_runs import request_for, run_all


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
