"""A denoiser that learns what another predicts together with its guide."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.networks.unet import UNet
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.training.initialization import guided_output
from ddpm_core.training.pictures import Pictures
from ddpm_core.training.stages.run import run_stage
from tests.training.small_runs import copy_vae, request_for, run_all


def guided_by(trained: Path, folder: Path, **changes: object) -> Path:
    """A copy of a trained checkpoint in which a guide stands beside the denoiser."""
    shutil.copytree(trained, folder)
    config = checkpoint.read_config(folder)
    guide = UNet(**{**config.denoiser, **changes})
    torch.manual_seed(5)
    for parameter in guide.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    checkpoint.write_weights(folder / checkpoint.GUIDE_WEIGHTS, guide)
    guided = {"guide": {**config.denoiser, **changes}, "guidance": 2.0}
    checkpoint.write_config(folder, config.model_copy(update=guided))
    return folder


def test_what_is_learned_of_a_guide_is_what_both_predict_together(tmp_path: Path, trained: Path) -> None:
    folder = guided_by(trained, tmp_path / "guided")
    z, t = torch.randn(2, 4, 8, 8), torch.tensor([10, 900])
    strong, weak = checkpoint.load_denoiser(folder), checkpoint.load_guide(folder)
    assert weak is not None
    expected = 2 * strong(z, t) - weak(z, t)
    got = guided_output(folder, torch.device("cpu"))(z, t)
    assert not got.requires_grad
    assert (got - expected).square().mean() < 1e-3 * expected.square().mean()


def test_a_denoiser_comes_nearer_to_what_it_learns_from(tmp_path: Path, pictures: Pictures, trained: Path) -> None:
    folder, out = guided_by(trained, tmp_path / "guided"), tmp_path / "run"
    copy_vae(folder, out)  # whose config speaks of the guide
    settings = request_for(out).denoiser.model_copy(
        update={"learns": "guided", "iterations": 40, "learning_rate": 1e-3}
    )
    request = request_for(out, init=folder, denoiser=settings, sample_every=1000)
    losses = [update.step.losses["loss"] for update in run_stage("denoiser", request, pictures)]
    assert sum(losses[-8:]) < 0.8 * sum(losses[:8])
    assert LatentDiffusion.load(out, "cpu").guide is None


def test_learning_from_a_guide_that_is_not_there_is_refused(tmp_path: Path, pictures: Pictures, trained: Path) -> None:
    out = tmp_path / "run"
    copy_vae(trained, out)
    settings = request_for(out).denoiser.model_copy(update={"learns": "guided"})
    for init in (None, trained):
        with pytest.raises(CheckpointError, match="guide; name it with --init"):
            run_all("denoiser", request_for(out, init=init, denoiser=settings), pictures)
    other = guided_by(trained, tmp_path / "other", prediction="eps")
    with pytest.raises(CheckpointError, match="prediction type"):
        run_all("denoiser", request_for(out, init=other, denoiser=settings), pictures)
