"""The training loop and its two stages."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ddpm_core import checkpoint
from ddpm_core.checkpoint import CheckpointError
from ddpm_core.data import PictureSet
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.samplers import last
from ddpm_core.schema import GenerateRequest, StageSettings, TrainRequest
from ddpm_core.stages import Pictures, StageName, run_stage, state_file
from ddpm_core.training import (
    MAX_SKIPPED_IN_A_ROW,
    Trainer,
    TrainingError,
    batch_index,
    learning_rate_at,
    resolve_precision,
)

INPUTS = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
TARGETS = INPUTS @ torch.tensor([[1.0], [-2.0], [0.5]]) + 3


def settings(**changes: Any) -> StageSettings:
    return StageSettings(**{"iterations": 200, "learning_rate": 0.1, "warmup": 5, "batch_size": 8} | changes)


def trainer(**changes: Any) -> Trainer:
    torch.manual_seed(0)
    return Trainer(nn.Linear(3, 1), settings(**changes), "fp32")


def fit(model: nn.Module, draw: int) -> dict[str, Tensor]:
    """A loss that is the same whenever it is asked for, on one example after the other."""
    rows = torch.arange(8 * draw, 8 * draw + 8) % 64
    return {"loss": (model(INPUTS[rows]) - TARGETS[rows]).square().mean()}


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_loss_falls_and_steps_are_counted() -> None:
    run = trainer()
    steps = list(run.train(fit))
    assert [step.step for step in steps] == list(range(1, 201))
    assert steps[0].losses["loss"] > 5
    assert steps[-1].losses["loss"] < 0.01
    assert steps[0].gradient_norm > steps[-1].gradient_norm
    assert run.step == 200


def test_the_average_of_the_weights_comes_to_the_solution_too() -> None:
    run = trainer(ema_decay=0.9)
    last(run.train(fit))
    torch.testing.assert_close(run.ema.module.weight, torch.tensor([[1.0, -2.0, 0.5]]), rtol=0, atol=0.05)


def test_two_small_batches_accumulated_equal_one_of_twice_the_size() -> None:
    def of(size: int):
        return lambda model, draw: {
            "loss": (model(INPUTS[draw * size : (draw + 1) * size]) - TARGETS[draw * size : (draw + 1) * size])
            .square()
            .mean()
        }

    small, large = trainer(iterations=6, accumulate=2), trainer(iterations=6)
    steps = list(zip(small.train(of(4)), large.train(of(8)), strict=True))
    for one, other in steps:
        assert one.losses["loss"] == pytest.approx(other.losses["loss"], rel=1e-5)
        assert one.gradient_norm == pytest.approx(other.gradient_norm, rel=1e-5)
    for one, other in zip(small.model.parameters(), large.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_the_average_follows_its_warm_up() -> None:
    run, expected = trainer(iterations=30, ema_decay=0.6), None
    for n, _ in enumerate(run.train(fit)):
        now = run.model.weight.detach()
        decay = min(0.6, (1 + n) / (10 + n))
        expected = now.clone() if expected is None else decay * expected + (1 - decay) * now
        torch.testing.assert_close(run.ema.module.weight.detach(), expected, rtol=1e-5, atol=1e-6)
    assert not torch.equal(run.ema.module.weight, run.model.weight)


def test_the_learning_rate_warms_up_peaks_and_falls_to_a_hundredth() -> None:
    plan = StageSettings(iterations=1000, warmup=100, learning_rate=2e-3)
    rates = [learning_rate_at(step, plan) for step in range(1001)]
    assert rates[0] == pytest.approx(2e-5, rel=1e-3)
    assert rates[49] == pytest.approx(1e-3, rel=0.02)
    peak = max(range(1001), key=rates.__getitem__)
    assert 95 <= peak <= 105
    assert rates[peak] == pytest.approx(2e-3, rel=0.03)
    assert rates[500] == pytest.approx(2e-3 * (0.01 + 0.99 / 2), rel=1e-6)
    assert rates[1000] == pytest.approx(2e-5, rel=1e-6)
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_the_learning_rate_is_what_the_optimiser_uses() -> None:
    run = trainer(iterations=10)
    for number, step in enumerate(run.train(fit)):
        assert step.learning_rate == learning_rate_at(number, run.settings)
        assert run.optimizer.param_groups[0]["lr"] == step.learning_rate


def test_the_gradient_is_clipped_and_its_norm_reported_before() -> None:
    run, norms = trainer(iterations=1, clip=0.5), []
    run.optimizer.register_step_pre_hook(
        lambda *_: norms.append(nn.utils.get_total_norm([p.grad for p in run.model.parameters()]).item())
    )
    (step,) = run.train(fit)
    assert step.gradient_norm > 1
    assert norms == [pytest.approx(0.5, rel=1e-3)]


@pytest.mark.parametrize("kind", ["nan", "inf", "gradient"])
def test_a_step_that_is_not_finite_is_skipped_and_counted(kind: str) -> None:
    run, before = trainer(iterations=12), {}

    def loss(model: nn.Module, draw: int) -> dict[str, Tensor]:
        before.update(weights(model))
        if draw in (4, 5):
            if kind == "gradient":  # the root of 0 has no finite slope, and 0 times it is none
                return {"loss": fit(model, draw)["loss"] + (model.bias * 0).sqrt().sum()}
            return {"loss": fit(model, draw)["loss"] * {"nan": math.nan, "inf": math.inf}[kind]}
        return fit(model, draw)

    for number, step in enumerate(run.train(loss)):
        assert step.skipped == min(max(number - 3, 0), 2)
        assert same(before, weights(run.model)) == (number in (4, 5))
    assert all(torch.isfinite(p).all() for p in run.model.parameters())
    assert all(torch.isfinite(p).all() for p in run.ema.module.parameters())
    assert int(run.ema.n_averaged) == 10


def test_many_steps_in_a_row_that_are_not_finite_end_the_run_with_a_sentence() -> None:
    run = trainer(iterations=1000)
    steps = run.train(lambda model, draw: {"loss": fit(model, draw)["loss"] * (math.nan if draw >= 3 else 1)})
    with pytest.raises(TrainingError, match="steps in a row") as caught:
        last(steps)
    assert run.step == 3 + MAX_SKIPPED_IN_A_ROW
    assert "\n" not in str(caught.value)


def test_bad_steps_with_good_ones_between_do_not_end_the_run() -> None:
    run = trainer(iterations=3 * MAX_SKIPPED_IN_A_ROW)
    last(run.train(lambda model, draw: {"loss": fit(model, draw)["loss"] * (1 if draw % 3 == 0 else math.nan)}))
    assert run.skipped == 2 * MAX_SKIPPED_IN_A_ROW


@pytest.mark.parametrize(("count", "batch"), [(12, 4), (10, 4), (5, 8), (7, 7), (1, 3)])
def test_every_epoch_sees_every_example_once_in_another_order(count: int, batch: int) -> None:
    seen = torch.cat([batch_index(step, batch, count, seed=3) for step in range(3 * count)])
    epochs = [seen[start : start + count] for start in range(0, len(seen) - count + 1, count)]
    assert len(epochs) >= 3
    assert all(torch.equal(epoch.sort().values, torch.arange(count)) for epoch in epochs)
    if count > 4:
        assert len({tuple(epoch.tolist()) for epoch in epochs}) > 1


def test_the_order_of_examples_depends_on_the_seed_and_on_nothing_else() -> None:
    one = batch_index(5, 8, 100, seed=1)
    batch_index(0, 8, 30, seed=2)
    torch.rand(3)
    assert torch.equal(batch_index(5, 8, 100, seed=1), one)
    assert not torch.equal(batch_index(5, 8, 100, seed=2), one)


def test_precision_is_what_was_asked_for_or_what_the_machine_computes_in() -> None:
    cpu = torch.device("cpu")
    assert resolve_precision("fp32", cpu) == torch.float32
    assert resolve_precision("bf16", cpu) == torch.bfloat16
    assert resolve_precision("fp16", cpu) == torch.float16
    assert resolve_precision("auto", cpu) in (torch.float32, torch.bfloat16)
    assert resolve_precision("auto", torch.device("mps")) == torch.float32


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_trains_with_weights_kept_in_full(precision: str) -> None:
    torch.manual_seed(0)
    run, kinds = Trainer(nn.Linear(3, 1), settings(), precision), set()

    def loss(model: nn.Module, draw: int) -> dict[str, Tensor]:
        kinds.add(model(INPUTS).dtype)
        rows = torch.arange(8 * draw, 8 * draw + 8) % 64
        return {"loss": (model(INPUTS[rows]).float() - TARGETS[rows]).square().mean()}

    steps = list(run.train(loss))
    assert kinds == {run.dtype}
    assert run.model.weight.dtype == torch.float32
    assert steps[-1].losses["loss"] < 0.05
    assert run.scaler.is_enabled() == (precision == "fp16")


def test_a_trainer_loaded_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    whole, first, second = trainer(iterations=9), trainer(iterations=9), trainer(iterations=9)
    last(whole.train(fit))
    for step in first.train(fit):
        if step.step == 4:
            break
    first.save(tmp_path / "state.safetensors")
    with torch.no_grad():
        second.model.weight.zero_()
    second.load(tmp_path / "state.safetensors")
    last(second.train(fit))
    assert same(weights(whole.model), weights(second.model))
    assert same(weights(whole.ema), weights(second.ema))


def test_a_state_of_another_model_or_none_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    with pytest.raises(CheckpointError, match=r"state\.safetensors is missing"):
        trainer().load(path)
    other = Trainer(nn.Linear(4, 1), settings(), "fp32")
    other.save(path)
    with pytest.raises(CheckpointError, match=r"state\.safetensors belongs to a run with other settings"):
        trainer().load(path)
    checkpoint.write_tensors(path, {"model.weight": torch.zeros(1, 3)})
    with pytest.raises(CheckpointError, match=r"state\.safetensors"):
        trainer().load(path)


# Stages


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    generator = torch.Generator().manual_seed(0)
    small = torch.rand(12, 3, 4, 4, generator=generator)
    pixels = (nn.functional.interpolate(small, size=(16, 16), mode="bilinear") * 255).to(torch.uint8)
    return Pictures(PictureSet(pixels[:10], []), PictureSet(pixels[10:], []), 10)


def request_for(out: Path, **changes: Any) -> TrainRequest:
    common = {"iterations": 6, "batch_size": 3, "warmup": 2}
    values = {
        "data": "nowhere/pictures",
        "out": out,
        "size": 16,
        "precision": "fp32",
        "device": "cpu",
        "vae": common | {"channels": (16, 16), "full_width": 8, "decoder_blocks": 1},
        "denoiser": common | {"channels": (32, 32), "blocks": 1, "learning_rate": 1e-2},
    }
    return TrainRequest.model_validate(values | changes)


def run_all(stage: StageName, request: TrainRequest, pictures: Pictures, until: int | None = None) -> list[int]:
    """Run a stage, or close it after step `until`; the steps it took."""
    taken, updates = [], run_stage(stage, request, pictures)
    for update in updates:
        taken.append(update.step.step)
        if update.step.step == until:
            break
    updates.close()
    return taken


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, pictures: Pictures) -> Path:
    """A checkpoint folder both stages of which ran to their end; tests only read it."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    run_all("vae", request_for(out), pictures)
    run_all("denoiser", request_for(out), pictures)
    return out


def copy_vae(source: Path, out: Path) -> None:
    out.mkdir(parents=True)
    for name in (checkpoint.CONFIG, checkpoint.VAE_WEIGHTS):
        (out / name).write_bytes((source / name).read_bytes())


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
    assert checkpoint.list_checkpoints(trained.parent) == [trained.name]
    model = LatentDiffusion.load(trained, "cpu")
    assert model.size == 16
    made = model.pictures(last(model.generate(GenerateRequest(count=2, steps=3))).latent)
    assert [picture.size for picture in made] == [(16, 16)] * 2


def test_the_statistics_of_the_latents_are_those_of_the_training_pictures(trained: Path, pictures: Pictures) -> None:
    latents = checkpoint.load_vae(trained).encode(pictures.train.batch(torch.arange(10)))
    torch.testing.assert_close(latents.mean((0, 2, 3)), torch.zeros(4), rtol=0, atol=0.01)
    torch.testing.assert_close(latents.std((0, 2, 3)), torch.ones(4), rtol=0.01, atol=0)


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
    before = (out / checkpoint.VAE_WEIGHTS).read_bytes()
    with pytest.raises(CheckpointError, match="vae"):
        run_all("vae", request_for(out, resume=True), pictures, until=1)
    assert (out / checkpoint.VAE_WEIGHTS).read_bytes() == before


def test_resume_in_a_new_folder_just_starts(tmp_path: Path, pictures: Pictures) -> None:
    request = request_for(tmp_path / "new", resume=True, vae=request_for(tmp_path).vae.model_dump() | {"iterations": 2})
    assert run_all("vae", request, pictures) == [1, 2]


def test_resuming_a_finished_run_changes_nothing(tmp_path: Path, pictures: Pictures) -> None:
    out = tmp_path / "run"
    request = request_for(out, vae=request_for(out).vae.model_dump() | {"iterations": 2})
    run_all("vae", request, pictures)
    before = (out / checkpoint.VAE_WEIGHTS).read_bytes()
    assert run_all("vae", request.model_copy(update={"resume": True}), pictures) == []
    assert (out / checkpoint.VAE_WEIGHTS).read_bytes() == before


def test_a_run_killed_between_its_last_state_and_its_weights_gets_them_on_resuming(
    tmp_path: Path, pictures: Pictures
) -> None:
    out = tmp_path / "run"
    request = request_for(out, vae=request_for(out).vae.model_dump() | {"iterations": 2})
    run_all("vae", request, pictures)
    whole = (out / checkpoint.VAE_WEIGHTS).read_bytes()
    (out / checkpoint.VAE_WEIGHTS).unlink()
    run_all("vae", request.model_copy(update={"resume": True}), pictures)
    assert (out / checkpoint.VAE_WEIGHTS).is_file()
    assert (out / checkpoint.VAE_WEIGHTS).read_bytes() == whole


def test_stopping_at_the_very_last_step_leaves_the_final_weights(tmp_path: Path) -> None:
    pixels = torch.randint(0, 256, (300, 3, 16, 16), dtype=torch.uint8)
    pixels[256:] //= 8  # the last ones, which only the final statistics count, are dark
    many = Pictures(PictureSet(pixels, []), None, 300)
    for name, until in (("through", None), ("stopped", 1)):
        out = tmp_path / name
        run_all("vae", request_for(out, vae=request_for(out).vae.model_dump() | {"iterations": 1}), many, until)
    one, other = ((tmp_path / name / checkpoint.VAE_WEIGHTS).read_bytes() for name in ("through", "stopped"))
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


def test_pictures_the_stride_does_not_divide_are_refused(tmp_path: Path, pictures: Pictures) -> None:
    with pytest.raises(CheckpointError, match="stride"):
        run_all("vae", request_for(tmp_path / "run", size=18), pictures)


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
    assert sorted(path.name for path in (out / "training").glob("*.png")) == [
        "denoiser-000002.png",
        "denoiser-000004.png",
        "denoiser-000006.png",
    ]
