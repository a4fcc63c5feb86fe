"""The training loop, on the smallest of models."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from ddpm_core.diffusion.samplers import last
from ddpm_core.training.loop import (
    MAX_SKIPPED_IN_A_ROW,
    Trainer,
    TrainingError,
    batch_index,
    learning_rate_at,
)
from ddpm_core.training.settings import StageSettings
from ddpm_core.training.shards import MicroBatch
from tests.training.line import INPUTS, TARGETS, fit, same, settings, trainer, weights


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
        return lambda model, micro_batch: {
            "loss": (model(INPUTS[micro_batch.number * size :][:size]) - TARGETS[micro_batch.number * size :][:size])
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

    def loss(model: nn.Module, micro_batch: MicroBatch) -> dict[str, Tensor]:
        before.update(weights(model))
        if micro_batch.number in (4, 5):
            if kind == "gradient":  # the root of 0 has no finite slope, and 0 times it is none
                return {"loss": fit(model, micro_batch)["loss"] + (model.bias * 0).sqrt().sum()}
            return {"loss": fit(model, micro_batch)["loss"] * {"nan": math.nan, "inf": math.inf}[kind]}
        return fit(model, micro_batch)

    for number, step in enumerate(run.train(loss)):
        assert step.skipped == min(max(number - 3, 0), 2)
        assert same(before, weights(run.model)) == (number in (4, 5))
    assert all(torch.isfinite(p).all() for p in run.model.parameters())
    assert all(torch.isfinite(p).all() for p in run.ema.module.parameters())
    assert int(run.ema.n_averaged) == 10


def test_many_steps_in_a_row_that_are_not_finite_end_the_run_with_a_sentence() -> None:
    run = trainer(iterations=1000)
    steps = run.train(
        lambda model, micro_batch: {
            "loss": fit(model, micro_batch)["loss"] * (math.nan if micro_batch.number >= 3 else 1)
        }
    )
    with pytest.raises(TrainingError, match="steps in a row") as caught:
        last(steps)
    assert run.step == 3 + MAX_SKIPPED_IN_A_ROW
    assert "\n" not in str(caught.value)


def test_bad_steps_with_good_ones_between_do_not_end_the_run() -> None:
    run = trainer(iterations=3 * MAX_SKIPPED_IN_A_ROW)
    last(
        run.train(
            lambda model, micro_batch: {
                "loss": fit(model, micro_batch)["loss"] * (1 if micro_batch.number % 3 == 0 else math.nan)
            }
        )
    )
    assert run.skipped == 2 * MAX_SKIPPED_IN_A_ROW


@pytest.mark.parametrize(("count", "batch"), [(12, 4), (10, 4), (5, 8), (7, 7), (1, 3)])
def test_every_epoch_sees_every_example_once_in_another_order(count: int, batch: int) -> None:
    seen = torch.cat([batch_index(number, batch, count, seed=3) for number in range(3 * count)])
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


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_trains_with_weights_kept_in_full(precision: str) -> None:
    torch.manual_seed(0)
    run, kinds = Trainer(nn.Linear(3, 1), settings(), precision), set()

    def loss(model: nn.Module, micro_batch: MicroBatch) -> dict[str, Tensor]:
        kinds.add(model(INPUTS).dtype)
        rows = torch.arange(8 * micro_batch.number, 8 * micro_batch.number + 8) % 64
        return {"loss": (model(INPUTS[rows]).float() - TARGETS[rows]).square().mean()}

    steps = list(run.train(loss))
    assert kinds == {run.dtype}
    assert run.model.weight.dtype == torch.float32
    assert steps[-1].losses["loss"] < 0.05
    assert run.scaler.is_enabled() == (precision == "fp16")
