"""What a run is looked at by: grids of fixed seeds, and measures on held-out pictures that can be compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_core.diffusion.samplers import last
from ddpm_core.images.files import contact_sheet
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest
from ddpm_core.training.pictures import Pictures
from ddpm_core.training.stages.denoiser import DenoiserStage
from ddpm_core.training.stages.vae import VaeStage
from tests.shared_run import request_for, run, some_pictures


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> DenoiserStage:
    """A denoiser with its data, on a trained autoencoder."""
    request = request_for(tmp_path_factory.mktemp("looks") / "run")
    run(request, stage="vae")
    return DenoiserStage.prepare(request, some_pictures())


def test_two_looks_at_one_network_are_the_same(stage: DenoiserStage, tmp_path: Path) -> None:
    model, measures = stage.model.eval(), []
    for number in (1, 2):
        torch.manual_seed(number)  # as different as between two steps of a run
        measures.append(stage.evaluate(model, tmp_path / f"{number}.png"))
    assert measures[0] == measures[1]
    assert "held_out_loss" in measures[0]
    assert (tmp_path / "1.png").read_bytes() == (tmp_path / "2.png").read_bytes()


def test_the_grid_shows_seeds_0_to_15(stage: DenoiserStage, tmp_path: Path) -> None:
    unet = stage.model.eval()
    stage.evaluate(unet, tmp_path / "grid.png")
    model = LatentDiffusion(stage.codec, unet, stage.diffuser, stage.request.size)
    with torch.inference_mode():
        latent = torch.cat([last(model.generate(GenerateRequest(seed=seed, count=8))).latent for seed in (0, 8)])
        expected = contact_sheet(model.codec.decode(latent))
    with Image.open(tmp_path / "grid.png") as grid:
        np.testing.assert_array_equal(np.asarray(grid), np.asarray(expected))


def test_held_out_measures_are_those_of_the_held_out_pictures(stage: DenoiserStage, tmp_path: Path) -> None:
    pictures = some_pictures()
    others = Pictures(pictures.train, type(pictures.train)(255 - pictures.train.pixels[:2], []), 10)
    model, measures = stage.model.eval(), []
    for each in (pictures, others):
        measures.append(DenoiserStage.prepare(stage.request, each).evaluate(model, tmp_path / "grid.png"))
        measures[-1] |= VaeStage.prepare(stage.request, each).evaluate(stage.codec, tmp_path / "grid.png")
    assert measures[0].keys() == measures[1].keys() >= {"held_out_loss", "held_out_decile_9", "held_out_psnr"}
    assert all(measures[0][name] != measures[1][name] for name in measures[0])
