"""Batches too large for the memory: computed in parts, with the same result, or refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.training import memory_budget
from ddpm_core.training.distributed import World
from ddpm_core.training.loop import Trainer, TrainingError, TrainStep
from ddpm_core.training.memory_budget import (
    SavedTensors,
    fit,
    needs_of,
    saved_for_backward,
)
from ddpm_core.training.settings import StageSettings, TrainRequest
from ddpm_core.training.shards import MicroBatch
from ddpm_core.training.stages.denoiser import DenoiserStage
from ddpm_core.training.stages.run import run_stage, state_file
from ddpm_core.training.stages.stage import Stage
from ddpm_core.training.stages.vae import VaeStage
from ddpm_core.training.state import load_state, save_state
from tests.distributed_run import STEPS, request_for, run, some_pictures

STAGES = ["vae", "denoiser"]
CLOSE = {"rtol": 1e-4, "atol": 1e-5}  # sums taken in another order
BATCH = 4  # of `request_for`, in two micro-batches


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run makes that has memory enough."""
    out = tmp_path_factory.mktemp("whole")
    run(request_for(out))
    return out


@pytest.fixture(scope="module")
def ready(finished_run: Path) -> dict[str, tuple[Stage, StageSettings]]:
    """Each stage, ready to train, and its settings."""
    request = request_for(finished_run)
    made: dict[str, Stage] = {
        "vae": VaeStage.prepare(request, some_pictures()),
        "denoiser": DenoiserStage.prepare(request, some_pictures()),
    }
    return {name: (stage, getattr(request, name)) for name, stage in made.items()}


def take(stage: Any, request: TrainRequest, until: int | None = None) -> list[TrainStep]:
    """A stage's steps, closed after number `until`; the denoiser's run needs the other first."""
    if stage == "denoiser" and not (request.out / checkpoint.CODEC_WEIGHTS).exists():
        run(request, stage="vae")
    steps, updates = [], run_stage(stage, request, some_pictures())
    for update in updates:
        steps.append(update.step)
        if update.step.step == until:
            break
    updates.close()
    return steps


def assert_alike(stage: Any, one: Path, other: Path) -> None:
    """Two runs of a stage ended with the same weights, averages and moments, and logged the same, to rounding."""
    (first, _), (second, _) = (checkpoint.read_tensors(state_file(out, stage)) for out in (one, other))
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(first[name], second[name], **CLOSE, msg=lambda text, name=name: f"{name}: {text}")
    logs = ([json.loads(row) for row in (out / "training" / f"{stage}.jsonl").open()] for out in (one, other))
    for row, same in zip(*logs, strict=True):
        assert row == pytest.approx(same, rel=1e-3)


def linear(batch_size: int = 8, world: World | None = None) -> Trainer:
    settings = StageSettings(iterations=3, batch_size=batch_size, warmup=0)
    return Trainer(nn.Linear(4, 1), settings, "fp32", world=world or World())


def square(model: nn.Module, micro_batch: MicroBatch) -> dict[str, Tensor]:
    return {"loss": model(micro_batch.take(torch.randn(micro_batch.batch_size, 4))).square().mean()}


# Memory that is full in a step


@pytest.mark.parametrize("stage", STAGES)
def test_a_step_that_fills_the_memory_is_taken_again_in_halves_and_nothing_else_changes(
    stage: str, finished_run: Path, tmp_path: Path, full
) -> None:
    # The second micro-batch of the second step: the gradients of the first are there already, and must not count twice.
    full(stage, lambda micro_batch: micro_batch.number >= 3 and micro_batch.size == 1)
    steps = take(stage, request_for(tmp_path))
    assert [step.chunks for step in steps] == [1, 2, 2, 2]
    assert steps[-1].skipped == 0
    assert_alike(stage, tmp_path, finished_run)


def test_halves_that_do_not_fit_either_are_halved_again(finished_run: Path, tmp_path: Path, full) -> None:
    full("vae", lambda micro_batch: micro_batch.size < BATCH)
    assert [step.chunks for step in take("vae", request_for(tmp_path))] == [4] * STEPS
    assert_alike("vae", tmp_path, finished_run)


@pytest.mark.parametrize(("batch", "parts"), [(8, [2, 4, 8]), (3, [3]), (6, [2, 6]), (100, [2, 4, 10, 20, 50, 100])])
def test_parts_are_equally_large_and_at_least_twice_as_many(batch: int, parts: list[int]) -> None:
    trainer = linear(batch)
    for count in parts:
        trainer.divide()
        assert trainer.chunks == count
    with pytest.raises(TrainingError, match="batch of one"):
        trainer.divide()


def test_every_part_of_a_batch_is_computed_once() -> None:
    trainer, seen = linear(12), []
    trainer.chunks = 3

    def loss(model: nn.Module, micro_batch: MicroBatch) -> dict[str, Tensor]:
        seen.append((micro_batch.number, micro_batch.take(torch.arange(12)).tolist()))
        return square(model, micro_batch)

    next(trainer.train(loss))
    assert seen == [(0, [0, 1, 2, 3]), (0, [4, 5, 6, 7]), (0, [8, 9, 10, 11])]


def test_a_batch_of_one_that_does_not_fit_ends_the_run_with_a_sentence(tmp_path: Path, full) -> None:
    full("vae", lambda micro_batch: True)
    with pytest.raises(TrainingError, match=r"batch of one.*--size") as caught:
        take("vae", request_for(tmp_path))
    assert "\n" not in str(caught.value)


def test_another_error_is_not_taken_for_full_memory() -> None:
    def loss(model: nn.Module, micro_batch: MicroBatch) -> dict[str, Tensor]:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        next(linear().train(loss))


def test_of_several_processes_one_whose_memory_is_full_says_so_at_once() -> None:
    def loss(micro_batch: MicroBatch) -> dict[str, Tensor]:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(TrainingError, match=r"batch of 8 .* process 1.*--batch-size"):
        linear(world=World(1, 2)).accumulate_gradients(loss)  # type: ignore[arg-type]


def test_a_run_divided_and_interrupted_goes_on_divided_and_changes_nothing_bit_for_bit(
    tmp_path: Path, full, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context():
        full("vae", lambda micro_batch: micro_batch.size == 1)
        take("vae", request_for(tmp_path / "whole"))
        take("vae", request_for(tmp_path / "broken"), until=2)
    monkeypatch.undo()  # there is memory again; the parts remain, for other sums would round otherwise
    steps = take("vae", request_for(tmp_path / "broken", resume=True))
    assert [(step.step, step.chunks) for step in steps] == [(3, 2), (4, 2)]
    (one, metadata), (other, other_metadata) = (
        checkpoint.read_tensors(state_file(tmp_path / name, "vae")) for name in ("whole", "broken")
    )
    assert metadata == other_metadata
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_parts_that_another_batch_cannot_be_cut_into_are_forgotten(tmp_path: Path) -> None:
    first, second = linear(8), linear(6)
    first.chunks = 4
    save_state(first, tmp_path / "state.safetensors")
    load_state(second, tmp_path / "state.safetensors")
    assert second.chunks == 1


# Counted before it is full


def test_saved_storages_are_counted_once_and_weights_not_at_all() -> None:
    layer = nn.Linear(4, 4, bias=False)
    counter = SavedTensors(layer)
    x = torch.ones(8, 4)
    with torch.autograd.graph.saved_tensors_hooks(counter.keep, lambda tensor: tensor):
        y = layer(x)  # keeps x, 128 bytes, and the weight
        z = layer(x.view(2, 4, 4))  # the same storage again
        (y.square().sum() + z.sum()).backward()  # keeps y, 128 bytes
    assert counter.total() == 256


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_two_small_batches_tell_of_a_large_one(stage: str, precision: Any, ready) -> None:
    ready_stage, settings = ready[stage]
    trainer = Trainer(ready_stage.model, settings, precision)
    needs = needs_of(trainer, ready_stage.loss)
    counted = saved_for_backward(trainer, ready_stage.loss, 12)
    assert needs.saved + 12 * needs.saved_each == pytest.approx(counted, rel=0.02)
    weights = sum(parameter.nbytes for parameter in ready_stage.model.parameters())
    assert (needs.weights, needs.gradients, needs.average, needs.moments) == (weights, weights, weights, 2 * weights)
    assert sum(needs.by_purpose(12).values()) == pytest.approx(5 * weights + counted, rel=0.02)


def test_what_is_not_trained_has_neither_gradients_nor_moments() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))
    model[0].requires_grad_(False)
    needs = needs_of(Trainer(model, StageSettings(), "fp32"), square)
    assert (needs.weights, needs.gradients, needs.moments) == (4 * 25, 4 * 5, 2 * 4 * 5)


@pytest.mark.parametrize("stage", STAGES)
def test_by_estimate_a_batch_is_divided_before_the_first_step_and_nothing_else_changes(
    stage: str, finished_run: Path, tmp_path: Path, ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready_stage, settings = ready[stage]
    needs = needs_of(Trainer(ready_stage.model, settings, "fp32"), ready_stage.loss)
    if stage == "denoiser":
        run(request_for(tmp_path), stage="vae")
    enough_for_three = needs.gradients + needs.moments + needs.activations(3)
    monkeypatch.setattr(memory_budget, "available_memory", lambda: enough_for_three)
    assert [step.chunks for step in take(stage, request_for(tmp_path))] == [2] * STEPS
    assert_alike(stage, tmp_path, finished_run)


@pytest.mark.parametrize("free", [None, 10**12])
def test_with_memory_enough_or_unknown_no_batch_is_divided(free: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_budget, "available_memory", lambda: free)
    trainer = linear()
    fit(trainer, square)
    assert trainer.chunks == 1


def test_what_an_earlier_stage_has_freed_is_given_back_before_the_rest_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []
    monkeypatch.setattr(memory_budget, "give_back_freed_memory", lambda: done.append("given back"))
    monkeypatch.setattr(memory_budget, "available_memory", lambda: done.append("counted"))
    fit(linear(), square)
    assert done == ["given back", "counted"]


def test_by_estimate_a_batch_of_one_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_budget, "available_memory", lambda: 10)
    with pytest.raises(TrainingError, match="batch of one"):
        fit(linear(), square)


def test_a_run_that_is_at_its_end_needs_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_budget, "available_memory", lambda: 10)
    trainer = linear()
    trainer.step = trainer.settings.iterations
    fit(trainer, square)
    assert trainer.chunks == 1


def test_moments_that_are_there_already_need_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh, resumed = linear(), linear()
    next(resumed.train(square))
    needs = needs_of(fresh, square)
    monkeypatch.setattr(memory_budget, "available_memory", lambda: needs.gradients + needs.activations(8))
    for trainer in (fresh, resumed):
        fit(trainer, square)
    assert (fresh.chunks > 1, resumed.chunks) == (True, 1)


def test_processes_on_one_machine_share_its_memory_and_divide_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    votes: list[bool] = []
    monkeypatch.setattr(World, "any", lambda self, wish: votes.append(wish) or wish or len(votes) < 3)
    needs = needs_of(linear(), square)
    monkeypatch.setattr(
        memory_budget, "available_memory", lambda: needs.gradients + needs.moments + needs.activations(4)
    )
    trainer = linear(world=World(0, 2))
    fit(trainer, square)  # it fits here, but twice not elsewhere
    assert (votes, trainer.chunks) == ([False] * 3, 4)

    votes.clear()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    fit(linear(world=World(0, 2)), square)
    assert votes[0]


def test_counting_spends_no_random_number_of_the_run(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("ddpm_core.training.stages.run.fit", lambda trainer, loss: None)
    run(request_for(tmp_path))
    for stage in STAGES:
        (one, _), (other, _) = (checkpoint.read_tensors(state_file(out, stage)) for out in (finished_run, tmp_path))
        assert all(torch.equal(one[name], other[name]) for name in one)
