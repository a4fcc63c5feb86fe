"""The two stages of a training run: what they write, and that stopping and resuming changes nothing."""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ddpm_core.checkpoints import folders
from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.data.load import PictureSet
from ddpm_core.diffusion.samplers import last
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest
from ddpm_core.training.pictures import Pictures
from ddpm_core.training.settings import StageName, TrainRequest
from ddpm_core.training.stages.run import run_stage, state_file
from tests.training.small_runs import copy_vae, request_for, run_all

FROZEN = {"learning_rate": 1e-9}  # so small that nothing moves


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# Stages


@pytest.mark.parametrize("stage", ["vae", "denoiser"])
def test_six_steps_equal_three_an_interruption_and_three_more_bit_for_bit(
    tmp_path: Path, pictures: Pictures, trained: Path, stage: StageName
) -> None:
    out = tmp_path / "broken"
    if stage == "denoiser":
        copy_vae(trained, out)
    assert run_all(stage, request_for(out), pictures, until=3) == [1, 2, 3]
    assert run_all(stage, request_for(out, resume=True), pictures) == [4, 5, 6]

    states = [checkpoint.read_tensors(state_file(folder, stage)) for folder in (trained, out)]
    kinds = {name.split(".")[0] for name in states[0][0]}
    assert kinds == {"model", "ema", "optimizer"}
    assert states[0][0].keys() == states[1][0].keys()
    for name, tensor in states[0][0].items():
        assert torch.equal(tensor, states[1][0][name]), name
    assert states[0][1] == states[1][1]
    name = f"{stage}.safetensors"
    assert (trained / name).read_bytes() == (out / name).read_bytes()
    rows = [[json.loads(line) for line in (folder / "training" / f"{stage}.jsonl").open()] for folder in (trained, out)]
    assert rows[0] == rows[1]


def test_an_interruption_under_bf16_changes_nothing_either(tmp_path: Path, pictures: Pictures, trained: Path) -> None:
    for out, stops in ((tmp_path / "whole", [None]), (tmp_path / "broken", [2, None])):
        copy_vae(trained, out)
        for number, stop in enumerate(stops):
            run_all("denoiser", request_for(out, precision="bf16", resume=number > 0), pictures, until=stop)
    one, other = (checkpoint.read_tensors(state_file(tmp_path / name, "denoiser"))[0] for name in ("whole", "broken"))
    assert same(one, other)


def test_a_finished_run_is_a_checkpoint_that_makes_pictures(trained: Path) -> None:
    assert folders.list_checkpoints(trained.parent) == [trained.name]
    model = LatentDiffusion.load(trained, "cpu")
    assert model.size == 16
    made = model.pictures(last(model.generate(GenerateRequest(count=2, steps=3))).latent)
    assert [picture.size for picture in made] == [(16, 16)] * 2


def test_a_denoiser_learns_under_the_schedule_requested_and_its_checkpoint_says_so(
    tmp_path: Path, pictures: Pictures, trained: Path
) -> None:
    copy_vae(trained, tmp_path / "cosine")
    request = request_for(tmp_path / "cosine", denoiser={"iterations": 2, "channels": (32, 32), "schedule": "cosine"})
    run_all("denoiser", request, pictures)
    assert LatentDiffusion.load(request.out, "cpu").diffuser.schedule == "cosine"


def test_the_weighting_requested_reaches_the_loss(tmp_path: Path, pictures: Pictures, trained: Path) -> None:
    losses = {}
    for weighting in ("uniform", "min-snr", "p2"):
        copy_vae(trained, tmp_path / weighting)
        request = request_for(tmp_path / weighting, denoiser={"channels": (32, 32), "weighting": weighting})
        with contextlib.closing(run_stage("denoiser", request, pictures)) as updates:
            losses[weighting] = next(updates).step.losses["loss"]
    assert len(set(losses.values())) == 3


def test_the_shipped_weights_are_the_averaged_ones(trained: Path) -> None:
    state, _ = checkpoint.read_tensors(state_file(trained, "denoiser"))
    shipped, _ = checkpoint.read_tensors(trained / checkpoint.DENOISER_WEIGHTS)
    for name, tensor in shipped.items():
        torch.testing.assert_close(tensor.float(), state[f"ema.{name}"], rtol=2e-3, atol=1e-6)
    assert any(not torch.equal(state[f"ema.{name}"], state[f"model.{name}"]) for name in shipped)


@pytest.mark.parametrize("stage", ["vae", "denoiser"])
def test_a_run_leaves_its_settings_its_log_and_a_grid_beside_it(trained: Path, stage: StageName) -> None:
    notes = trained / "training"
    assert TrainRequest.model_validate_json((notes / f"{stage}.json").read_text()) == request_for(trained)
    rows = [json.loads(line) for line in (notes / f"{stage}.jsonl").open()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert all(math.isfinite(row["loss"]) for row in rows)
    measure = {"vae": "held_out_psnr", "denoiser": "held_out_loss"}[stage]
    assert [measure in row for row in rows] == [False] * 5 + [True]
    assert (notes / f"{stage}-000006.png").is_file()
    said = checkpoint.read_config(trained).training[stage]
    assert said["data"] == "pictures"
    assert said[stage]["iterations"] == 6
    assert str(trained) not in json.dumps(said)


def test_a_checkpoint_in_the_way_is_not_overwritten(trained: Path, pictures: Pictures) -> None:
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    for stage in ("vae", "denoiser"):
        with pytest.raises(CheckpointError, match=rf"{stage}\.safetensors already exists"):
            run_all(stage, request_for(trained), pictures)
    assert before == {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}


def test_resuming_without_anything_to_resume_does_not_overwrite_finished_weights(
    tmp_path: Path, pictures: Pictures, trained: Path
) -> None:
    out = tmp_path / "bare"  # a checkpoint as it is given away: without training/
    copy_vae(trained, out)
    before = (out / checkpoint.CODEC_WEIGHTS).read_bytes()
    with pytest.raises(CheckpointError, match="vae"):
        run_all("vae", request_for(out, resume=True), pictures, until=1)
    assert (out / checkpoint.CODEC_WEIGHTS).read_bytes() == before


def test_resume_in_a_new_folder_just_starts(tmp_path: Path, pictures: Pictures) -> None:
    request = request_for(tmp_path / "new", resume=True, vae=request_for(tmp_path).vae.model_dump() | {"iterations": 2})
    assert run_all("vae", request, pictures) == [1, 2]


def test_resuming_a_finished_run_changes_nothing(tmp_path: Path, pictures: Pictures) -> None:
    out = tmp_path / "run"
    request = request_for(out, vae=request_for(out).vae.model_dump() | {"iterations": 2})
    run_all("vae", request, pictures)
    before = (out / checkpoint.CODEC_WEIGHTS).read_bytes()
    assert run_all("vae", request.model_copy(update={"resume": True}), pictures) == []
    assert (out / checkpoint.CODEC_WEIGHTS).read_bytes() == before


def test_a_run_killed_between_its_last_state_and_its_weights_gets_them_on_resuming(
    tmp_path: Path, pictures: Pictures
) -> None:
    out = tmp_path / "run"
    request = request_for(out, vae=request_for(out).vae.model_dump() | {"iterations": 2})
    run_all("vae", request, pictures)
    whole = (out / checkpoint.CODEC_WEIGHTS).read_bytes()
    (out / checkpoint.CODEC_WEIGHTS).unlink()
    run_all("vae", request.model_copy(update={"resume": True}), pictures)
    assert (out / checkpoint.CODEC_WEIGHTS).is_file()
    assert (out / checkpoint.CODEC_WEIGHTS).read_bytes() == whole


def test_stopping_at_the_very_last_step_leaves_the_final_weights(tmp_path: Path) -> None:
    pixels = torch.randint(0, 256, (300, 3, 16, 16), dtype=torch.uint8)
    pixels[256:] //= 8  # the last ones, which only the final statistics count, are dark
    many = Pictures(PictureSet(pixels, []), None, 300)
    for name, until in (("through", None), ("stopped", 1)):
        out = tmp_path / name
        run_all("vae", request_for(out, vae=request_for(out).vae.model_dump() | {"iterations": 1}), many, until)
    one, other = ((tmp_path / name / checkpoint.CODEC_WEIGHTS).read_bytes() for name in ("through", "stopped"))
    assert one == other


def test_resuming_with_another_shape_is_refused(tmp_path: Path, pictures: Pictures) -> None:
    out = tmp_path / "run"
    run_all("vae", request_for(out), pictures, until=1)
    other = request_for(out).vae.model_dump() | {"channels": (16, 24)}
    with pytest.raises(CheckpointError, match="other settings"):
        run_all("vae", request_for(out, resume=True, vae=other), pictures)


def test_the_denoiser_needs_an_autoencoder_first(tmp_path: Path, pictures: Pictures) -> None:
    with pytest.raises(CheckpointError, match="missing"):
        run_all("denoiser", request_for(tmp_path / "none"), pictures)


def test_a_denoiser_of_another_size_than_its_autoencoder_is_refused_or_recorded(
    tmp_path: Path, pictures: Pictures, trained: Path
) -> None:
    out = tmp_path / "run"
    copy_vae(trained, out)
    larger = Pictures(PictureSet(pictures.train.pixels.repeat(1, 1, 2, 2), []), None, 10)
    refused = ""
    try:
        run_all("denoiser", request_for(out, size=32), larger, until=1)
    except CheckpointError as error:
        refused = str(error)
    assert "32" in refused or checkpoint.read_config(out).size == 32


def test_saving_every_so_often_leaves_a_usable_checkpoint_midway(
    tmp_path: Path, pictures: Pictures, trained: Path
) -> None:
    out = tmp_path / "run"
    copy_vae(trained, out)
    updates = run_stage("denoiser", request_for(out, save_every=2), pictures)
    next(updates)
    assert not (out / checkpoint.DENOISER_WEIGHTS).exists()
    next(updates)
    assert LatentDiffusion.load(out, "cpu").size == 16
    updates.close()


def test_looking_at_samples_midway_does_not_change_the_training(
    tmp_path: Path, pictures: Pictures, trained: Path
) -> None:
    out = tmp_path / "run"
    copy_vae(trained, out)
    run_all("denoiser", request_for(out, sample_every=2, save_every=2), pictures)
    one, other = (checkpoint.read_tensors(state_file(folder, "denoiser"))[0] for folder in (trained, out))
    assert same(one, other)
    assert sorted(path.name for path in (out / "training").glob("denoiser-*.png")) == [
        "denoiser-000002.png",
        "denoiser-000004.png",
        "denoiser-000006.png",
    ]


@pytest.mark.parametrize("stage", ["vae", "denoiser"])
def test_a_run_may_start_from_the_weights_of_a_checkpoint(
    tmp_path: Path, pictures: Pictures, trained: Path, stage: StageName
) -> None:
    out = tmp_path / "tuned"
    if stage == "denoiser":
        copy_vae(trained, out)
    request = request_for(out, init=trained, **{stage: getattr(request_for(out), stage).model_copy(update=FROZEN)})
    run_all(stage, request, pictures)
    (before, _), (after, _) = (checkpoint.read_tensors(folder / f"{stage}.safetensors") for folder in (trained, out))
    for name, tensor in before.items():
        torch.testing.assert_close(after[name], tensor, rtol=1e-2, atol=1e-2)
    said = checkpoint.read_config(out).training[stage]
    assert said["init"] == trained.name
    assert str(trained.parent) not in json.dumps(said)
