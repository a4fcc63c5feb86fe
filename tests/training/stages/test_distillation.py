"""A run that distils a checkpoint to few steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.diffusion.samplers import last
from ddpm_core.errors import complaint
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest, InpaintRequest
from ddpm_core.training.pictures import Pictures
from ddpm_core.training.record.card import card
from ddpm_core.training.settings import DenoiserSettings, TrainRequest
from ddpm_core.training.shards import MicroBatch
from ddpm_core.training.stages.distillation import DistillationStage
from ddpm_core.training.stages.run import run_stage, state_file
from tests.training.small_runs import request_for, run_all, settings_with

FEW: dict[str, Any] = {"learns": "consistency", "timesteps": "uniform", "learning_rate": 1e-3}


def student(out: Path, init: Path | None, **changes: Any) -> TrainRequest:
    """A student's run, of examples with clean regions as well."""
    changes = {"stage": "denoiser"} | changes
    return settings_with(request_for(out, init=init, **changes), clamp_share=0.5, **FEW)


def test_a_student_makes_pictures_in_few_steps_by_default_and_its_card_says_so(
    tmp_path: Path, pictures: Pictures, trained: Path
) -> None:
    out = tmp_path / "student"
    updates = list(run_stage("denoiser", student(out, trained), pictures))
    assert updates[-1].held_out.keys() == {"held_out_loss"}
    model = LatentDiffusion.load(out, "cpu")
    for kind in (GenerateRequest, InpaintRequest):
        request = model.request(kind)
        assert (request.sampler, request.steps, request.calls) == ("lcm", 4, 4)
    assert torch.isfinite(last(model.generate(model.request(GenerateRequest))).latent).all()
    text = card(out, "samples.png")
    assert "Distilled from `whole`" in text
    assert "denoising loss" not in text


@torch.inference_mode()
def end_of(folder: Path, steps: int) -> Tensor:
    """Where the denoiser of a checkpoint takes some noise in so many deterministic steps."""
    model = LatentDiffusion.load(folder, "cpu")
    return last(model.generate(GenerateRequest(count=8, steps=steps, sampler="ddim"))).latent


def test_in_one_step_a_student_comes_near_to_where_its_teachers_many_lead(
    tmp_path: Path, pictures: Pictures, trained: Path
) -> None:
    request = student(tmp_path / "student", trained, sample_every=10**6)
    run_all("denoiser", settings_with(request, iterations=60, batch_size=8, ema_decay=0.9), pictures)
    there, before, after = end_of(trained, 64), end_of(trained, 1), end_of(request.out, 1)
    assert (after - there).square().mean() < 0.8 * (before - there).square().mean()


def test_a_distillation_broken_off_goes_on_bit_for_bit(tmp_path: Path, pictures: Pictures, trained: Path) -> None:
    run_all("denoiser", student(tmp_path / "whole", trained), pictures)
    run_all("denoiser", student(tmp_path / "broken", trained), pictures, until=3)
    run_all("denoiser", student(tmp_path / "broken", trained, resume=True), pictures)
    one, other = (checkpoint.read_tensors(state_file(tmp_path / name, "denoiser"))[0] for name in ("whole", "broken"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_shards_of_a_batch_have_its_loss_in_the_mean_with_classes_and_words(tmp_path: Path, pictures: Pictures) -> None:
    train = replace(pictures.train, labels=torch.arange(10) % 2, captions=["red hat", "blue hat"] * 5)
    asked = replace(pictures, train=train, held_out=None, classes=("a", "b"), words=("blue", "hat", "red"))
    own = {"text_width": 16, "text_levels": 1, "iterations": 1}
    teacher = settings_with(request_for(tmp_path / "teacher", codec="pixel", stage="denoiser"), **own)
    run_all("denoiser", teacher, asked)
    request = student(tmp_path / "student", teacher.out, codec="pixel")
    stage = DistillationStage.prepare(settings_with(request, **own), asked)
    found = []
    for shards in ([MicroBatch(batch_size=4)], [MicroBatch(rank, 2, batch_size=4) for rank in (0, 1)]):
        losses = []
        for shard in shards:
            torch.manual_seed(0)
            losses.append(stage.loss(stage.model, shard)["loss"])
        found.append(torch.stack(losses).mean())
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-5)
    assert stage.defaults["generate"]["guidance"] == 1


def test_what_cannot_be_distilled_is_refused_in_a_sentence(tmp_path: Path, pictures: Pictures, trained: Path) -> None:
    with pytest.raises(CheckpointError, match=r"learned from a denoiser; name it with --init\.$"):
        run_all("denoiser", student(tmp_path / "run", None), pictures)
    with pytest.raises(ValidationError, match="choose --stage denoiser"):
        TrainRequest(data="d", out="o", denoiser=DenoiserSettings(learns="consistency"))
    for wrong, why in (
        ({"segments": 2}, "segments belongs to"),
        ({"learns": "consistency", "timesteps": "importance"}, "goes with timesteps"),
        ({"learns": "consistency", "enlarges": 2}, 'learns must be "data"'),
    ):
        with pytest.raises(ValidationError) as caught:
            DenoiserSettings(**wrong)
        assert why in complaint(caught.value)
    assert DenoiserSettings(learns="consistency").timesteps == "uniform"
    assert DenoiserSettings(learns="consistency", timesteps="lognormal").timesteps == "lognormal"
