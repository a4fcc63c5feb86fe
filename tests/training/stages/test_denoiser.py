"""The denoiser's stage: what it is measured by, what it learns from, and that it goes on bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.diffusion.samplers import last
from ddpm_core.images.files import contact_sheet
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest
from ddpm_core.training.pictures import Pictures
from ddpm_core.training.record import plots
from ddpm_core.training.record.journal import SAMPLES_BY_TIMESTEP
from ddpm_core.training.settings import TrainRequest
from ddpm_core.training.shards import MicroBatch
from ddpm_core.training.stages.denoiser import DenoiserStage
from ddpm_core.training.stages.run import state_file
from ddpm_core.training.stages.stage import FOLLOWED, MOMENTS
from ddpm_core.training.stages.vae import VaeStage
from tests.distributed_run import request_for, run, some_pictures
from tests.training import small_runs
from tests.training.small_runs import copy_vae, run_all, settings_with


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


def test_what_seeds_are_taken_for_on_the_way_is_drawn_beside_the_grid(
    stage: DenoiserStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    draw = plots.samples_by_timestep
    monkeypatch.setattr(plots, "samples_by_timestep", lambda moments: drawn.append(moments) or draw(moments))
    unet = stage.model.eval()
    stage.evaluate(unet, tmp_path / "grid.png")
    model = LatentDiffusion(stage.codec, unet, stage.diffuser, stage.request.size)
    with torch.inference_mode():
        steps = list(model.generate(GenerateRequest(seed=0, count=8)))
    [moments] = drawn
    assert [t for t, _ in moments] == sorted({t for t, _ in moments}, reverse=True)
    assert (moments[0][0], len(moments)) == (999, MOMENTS)
    for (_, pictures), step in zip([moments[0], moments[-1]], [steps[0], steps[-1]], strict=True):
        np.testing.assert_array_equal(np.stack(pictures), np.stack(model.pictures(step.denoised[:FOLLOWED])))
    assert (tmp_path / SAMPLES_BY_TIMESTEP).is_file()


def test_held_out_measures_are_those_of_the_held_out_pictures(stage: DenoiserStage, tmp_path: Path) -> None:
    pictures = some_pictures()
    others = Pictures(pictures.train, type(pictures.train)(255 - pictures.train.pixels[:2], []), 10)
    model, measures = stage.model.eval(), []
    for each in (pictures, others):
        measures.append(DenoiserStage.prepare(stage.request, each).evaluate(model, tmp_path / "grid.png"))
        measures[-1] |= VaeStage.prepare(stage.request, each).evaluate(stage.codec, tmp_path / "grid.png")
    assert measures[0].keys() == measures[1].keys() >= {"held_out_loss", "held_out_decile_9", "held_out_psnr"}
    assert all(measures[0][name] != measures[1][name] for name in measures[0])


CLAMPED = {"clamp_share": 0.7, "clamp_timesteps": "uniform", "clamp_middle": 0.3, "clamp_recolour": 0.5}


def small_run(out: Path, vae: Path, **changes: Any) -> TrainRequest:
    """A denoiser's run on an autoencoder that there is, with all that is done to clamped examples."""
    if not out.exists():
        copy_vae(vae, out)
    return settings_with(small_runs.request_for(out, **changes), **CLAMPED)


def test_a_run_with_recoloured_examples_and_broken_off_goes_on_bit_for_bit(
    tmp_path: Path, pictures: Pictures, trained: Path
) -> None:
    run_all("denoiser", small_run(tmp_path / "whole", trained), pictures)
    run_all("denoiser", small_run(tmp_path / "broken", trained), pictures, until=3)
    run_all("denoiser", small_run(tmp_path / "broken", trained, resume=True), pictures)
    one, other = (checkpoint.read_tensors(state_file(tmp_path / name, "denoiser"))[0] for name in ("whole", "broken"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_what_is_done_to_clamped_examples_changes_what_is_learned_but_not_what_is_measured(
    tmp_path: Path, pictures: Pictures, trained: Path
) -> None:
    request = small_run(tmp_path / "run", trained)
    plain = settings_with(request, clamp_timesteps="drawn", clamp_middle=0.0, clamp_recolour=0.0)
    stages = [DenoiserStage.prepare(each, pictures) for each in (request, plain)]
    micro_batch, losses = MicroBatch(number=0, batch_size=32), []
    measures = [stage.evaluate(stages[0].model.eval(), tmp_path / "grid.png") for stage in stages]
    for stage in stages:
        torch.manual_seed(0)
        losses.append(stage.loss(stages[0].model, micro_batch)["loss"].item())
    assert measures[0] == measures[1]
    assert losses[0] != losses[1]


@pytest.mark.parametrize("changes", [{"clamp_middle": 1.0}, {"clamp_timesteps": "uniform"}, {"clamp_recolour": 1.0}])
def test_each_of_it_reaches_the_loss(
    tmp_path: Path, pictures: Pictures, trained: Path, changes: dict[str, Any]
) -> None:
    copy_vae(trained, tmp_path / "run")
    request, found = settings_with(small_runs.request_for(tmp_path / "run"), clamp_share=1.0), []
    for each in (request, settings_with(request, **changes)):
        stage = DenoiserStage.prepare(each, pictures)
        torch.manual_seed(0)
        found.append(stage.loss(stage.model, MicroBatch(number=0, batch_size=32))["loss"].item())
    assert found[0] != found[1]


def test_a_run_cannot_begin_to_learn_its_variance_midway_nor_from_a_checkpoint_that_did_not(
    tmp_path: Path, pictures: Pictures, trained: Path
) -> None:
    copy_vae(trained, tmp_path / "run")
    run_all("denoiser", small_runs.request_for(tmp_path / "run"), pictures, until=1)
    for changes in ({"resume": True}, {"init": trained}):
        out = tmp_path / ("run" if "resume" in changes else "new")
        with pytest.raises(checkpoint.CheckpointError, match="--denoiser-variance"):
            run_all("denoiser", settings_with(small_runs.request_for(out, **changes), variance="learned"), pictures)
