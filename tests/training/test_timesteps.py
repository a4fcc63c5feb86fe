"""Timesteps drawn by the losses met before."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.commands import train
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.networks.unet import UNet
from ddpm_core.training import losses as objective
from ddpm_core.training.distributed import ALONE
from ddpm_core.training.loop import Trainer
from ddpm_core.training.losses import denoiser_loss
from ddpm_core.training.pictures import Pictures
from ddpm_core.training.shards import Shard
from ddpm_core.training.stages import denoiser
from ddpm_core.training.stages.run import state_file
from ddpm_core.training.state import load_state, save_state
from ddpm_core.training.timesteps import BINS, UNIFORM_FRACTION, LossAwareSampler, draw_timesteps
from tests.training.small_runs import Answer, copy_vae, request_for, run_all, settings_with

EVERY = torch.arange(1, 1000)


def filled(losses_at: Tensor, states: int = 1000, **changes: int) -> LossAwareSampler:
    """A history that met every timestep as often as it remembers, with the losses (N-1,) given."""
    history = LossAwareSampler(states, **changes)
    for _ in range(history.losses.shape[1]):
        history.update(torch.arange(1, states), losses_at)
    return history


@pytest.mark.parametrize("how", ["uniform", "lognormal"])
@pytest.mark.parametrize("states", [2, 10, 1000])
def test_timesteps_are_drawn_between_1_and_the_last(how: str, states: int) -> None:
    t = draw_timesteps(20_000, how, Diffuser(states))
    assert t.shape == (20_000,)
    assert t.dtype == torch.int64
    assert 1 <= t.min() <= t.max() <= states - 1
    if states == 10:
        assert set(t.tolist()) == set(range(1, 10))


def test_uniform_timesteps_are_uniform() -> None:
    counts = draw_timesteps(90_000, "uniform", Diffuser(10)).bincount()[1:]
    assert (counts - 10_000).abs().max() < 500


def test_lognormal_timesteps_have_the_noise_to_signal_ratios_of_karras_et_al() -> None:
    diffuser = Diffuser()
    alpha_bar = diffuser.alpha_bar[draw_timesteps(100_000, "lognormal", diffuser)]
    log_sigma = 0.5 * torch.log((1 - alpha_bar) / alpha_bar)
    assert log_sigma.mean().item() == pytest.approx(0.2, abs=0.03)
    assert log_sigma.std().item() == pytest.approx(1.3, abs=0.03)


def test_timesteps_follow_the_global_seed() -> None:
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(draw_timesteps(50, "lognormal", Diffuser()))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_until_every_bin_is_filled_the_draw_is_uniform() -> None:
    history = LossAwareSampler(1000, history_length=3)
    history.update(EVERY[:989], EVERY[:989].float())  # all bins but the last
    for _ in range(3):
        assert torch.equal(history.probabilities(), torch.full((999,), 1 / 999, dtype=torch.float64))
        torch.testing.assert_close(history.weights(EVERY), torch.ones(999))
        history.update(EVERY[-1:], torch.ones(1))
    assert history.probabilities().unique().numel() == BINS


def test_a_timestep_is_drawn_in_proportion_to_the_root_of_its_losses_second_moment() -> None:
    history = LossAwareSampler(7, bins=3, history_length=2)  # timesteps 1 and 2, 3 and 4, 5 and 6
    history.update(torch.tensor([1, 2, 3, 4, 5, 6]), torch.tensor([3.0, 4.0, 1.0, 1.0, 0.0, 2.0]))
    by_loss = torch.tensor([12.5, 12.5, 1.0, 1.0, 2.0, 2.0], dtype=torch.float64).sqrt()
    expected = (1 - UNIFORM_FRACTION) * by_loss / by_loss.sum() + UNIFORM_FRACTION / 6
    torch.testing.assert_close(history.probabilities(), expected)
    drawn = history.sample(100_000).bincount(minlength=7)[1:] / 100_000
    torch.testing.assert_close(drawn.double(), expected, rtol=0, atol=0.01)


def test_of_each_bin_the_last_losses_count() -> None:
    history = LossAwareSampler(3, bins=2, history_length=2)
    history.update(torch.tensor([1, 2, 1, 1, 2]), torch.tensor([9.0, 5.0, 1.0, 2.0, 6.0]))
    assert history.losses.tolist() == [[1, 2], [5, 6]]
    history.update(torch.tensor([2]), torch.tensor([7.0]))
    assert history.losses.tolist() == [[1, 2], [6, 7]]
    assert history.seen.tolist() == [3, 3]


def test_losses_that_are_not_finite_are_not_remembered() -> None:
    history = LossAwareSampler(3, history_length=1)
    history.update(torch.tensor([1, 2, 1]), torch.tensor([torch.nan, 2.0, torch.inf]))
    assert history.seen.tolist() == [0, 1]
    assert history.probabilities().isfinite().all()


@pytest.mark.parametrize("states", [2, 3, 50, 101, 1000])
def test_however_many_timesteps_each_can_be_drawn_and_no_other(states: int) -> None:
    history = filled(torch.arange(1.0, states), states)
    probabilities = history.probabilities()
    assert probabilities.shape == (states - 1,)
    assert probabilities.min() > 0
    assert probabilities.sum().item() == pytest.approx(1)
    drawn = history.sample(5_000)
    assert drawn.dtype == torch.int64
    assert 1 <= drawn.min() <= drawn.max() <= states - 1


def test_no_loss_at_all_leaves_the_draw_uniform() -> None:
    assert filled(torch.zeros(9), 10).probabilities().unique().numel() == 1


def test_weighed_the_mean_loss_is_that_of_a_uniform_draw() -> None:
    """Exactly: the sum over timesteps of probability, weight and loss; and by draws, which then vary less."""
    losses = 10 * torch.exp(-EVERY / 100)
    history = filled(losses)
    probabilities, weights = history.probabilities(), history.weights(EVERY)
    assert (probabilities * weights * losses).sum().item() == pytest.approx(losses.mean().item(), rel=1e-6)
    drawn = history.sample(20_000)
    by_importance = history.weights(drawn) * losses[drawn - 1]
    assert by_importance.mean().item() == pytest.approx(losses.mean().item(), rel=0.02)
    assert by_importance.std() < 0.2 * losses.std()


def wrong_by(diffuser: Diffuser, clean: Tensor) -> Answer:
    """A network that is wrong, everywhere, by 10 times the share of noise."""
    return Answer("x0", lambda noisy, t: clean + 10 * diffuser.signal_and_noise(t, noisy)[1])


def test_the_loss_of_a_batch_drawn_by_importance_is_on_average_that_of_all_timesteps() -> None:
    diffuser, clean = Diffuser(), torch.randn(4000, 1, 2, 2)
    expected = 100 * (1 - diffuser.alpha_bar[1:])
    history = filled(expected.float())
    loss = denoiser_loss(wrong_by(diffuser, clean), clean, diffuser, "importance", 0.0, timestep_sampler=history)[
        "loss"
    ]
    assert loss.item() == pytest.approx(expected.mean().item(), rel=0.01)


def test_a_batch_tells_the_history_its_losses_unweighed_and_without_held_cells(monkeypatch) -> None:
    diffuser, clean = Diffuser(3), torch.randn(400, 1, 2, 2)
    masks = torch.rand(400, 1, 2, 2) < 0.5
    masks[:50] = True
    monkeypatch.setattr(objective, "random_masks", lambda batch, height, width: masks)
    history = LossAwareSampler(3, history_length=5)
    for _ in range(3):  # the first draw is uniform, the next are not
        denoiser_loss(wrong_by(diffuser, clean), clean, diffuser, "importance", 1.0, timestep_sampler=history)
        history.commit(ALONE.gather)
    losses = 100 * (1 - diffuser.alpha_bar[1:, None].expand(2, 5))
    torch.testing.assert_close(history.losses, losses, rtol=1e-5, atol=0)
    held_altogether = masks.flatten(1).all(1).sum().item()
    assert history.seen.sum() == 3 * (400 - held_altogether)


def test_a_batch_computed_in_parts_is_remembered_as_if_it_had_been_whole() -> None:
    def remembered(parts: int) -> Tensor:
        torch.manual_seed(0)
        history, unet = LossAwareSampler(7, bins=3, history_length=2), UNet(channels=(32,), blocks=1, dropout=0.0)
        for step in range(5):
            clean = torch.randn(8, 4, 4, 4, generator=torch.Generator().manual_seed(step))
            for rank in range(parts):
                torch.manual_seed(step)
                denoiser_loss(
                    unet, clean, Diffuser(7), "importance", 0.5, shard=Shard(rank, parts), timestep_sampler=history
                )
            history.commit(ALONE.gather)
        return history.weights(torch.arange(1, 7))

    whole = remembered(1)
    assert len(whole.unique()) > 1  # the draw is by loss
    for parts in (2, 4):
        torch.testing.assert_close(remembered(parts), whole)


def test_what_was_logged_of_a_step_that_is_taken_again_is_forgotten() -> None:
    history = LossAwareSampler(3, bins=2, history_length=1)
    history.note(torch.tensor([1, 2]), torch.tensor([5.0, 6.0]))
    history.discard_pending()
    history.note(torch.tensor([2]), torch.tensor([1.0]))
    history.commit(ALONE.gather)
    assert history.seen.tolist() == [0, 1]


def test_without_a_history_importance_is_uniform() -> None:
    draws = []
    for how in ("uniform", "importance"):
        torch.manual_seed(3)
        draws.append(draw_timesteps(100, how, Diffuser()))
    assert torch.equal(*draws)


# In a run


def test_a_run_drawn_by_importance_and_broken_off_goes_on_bit_for_bit(
    tmp_path: Path, pictures: Pictures, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(denoiser, "LossAwareSampler", partial(LossAwareSampler, bins=2, history_length=2))
    for name, stops in (("whole", [None]), ("broken", [3, None])):
        copy_vae(trained, tmp_path / name)
        for number, stop in enumerate(stops):
            request = settings_with(request_for(tmp_path / name, resume=number > 0), timesteps="importance")
            run_all("denoiser", request, pictures, until=stop)
    one, other = (checkpoint.read_tensors(state_file(tmp_path / name, "denoiser"))[0] for name in ("whole", "broken"))
    assert one["memory.seen"].sum() == 6 * 3
    assert one["memory.losses"].min() > 0  # filled, so that the draw was by it
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    rows = [(tmp_path / name / "training" / "denoiser.jsonl").read_text() for name in ("whole", "broken")]
    assert rows[0] == rows[1]


def test_the_draw_by_importance_changes_what_is_learned(
    tmp_path: Path, pictures: Pictures, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(denoiser, "LossAwareSampler", partial(LossAwareSampler, bins=2, history_length=2))
    losses = {}
    for how in ("uniform", "importance"):
        copy_vae(trained, tmp_path / how)
        run_all("denoiser", settings_with(request_for(tmp_path / how), timesteps=how), pictures)
        log = (tmp_path / how / "training" / "denoiser.jsonl").read_text().splitlines()
        losses[how] = [json.loads(line)["loss"] for line in log]
    assert losses["uniform"][-1] != losses["importance"][-1]


def test_a_run_that_goes_on_may_begin_to_draw_by_importance_and_stop_it(
    tmp_path: Path, pictures: Pictures, trained: Path
) -> None:
    copy_vae(trained, tmp_path / "run")

    def history(how: str, until: int) -> list[int]:
        request = settings_with(request_for(tmp_path / "run", resume=True), timesteps=how)
        run_all("denoiser", request, pictures, until=until)
        state = checkpoint.read_tensors(state_file(tmp_path / "run", "denoiser"))[0]
        return [int(state["memory.seen"].sum())] if "memory.seen" in state else []

    assert history("lognormal", 2) == []
    assert history("importance", 4) == [2 * 3]
    assert history("uniform", 6) == []


def test_a_history_of_another_shape_is_refused(tmp_path: Path) -> None:
    settings, line = request_for(tmp_path).denoiser, torch.nn.Linear(1, 1)
    save_state(Trainer(line, settings, "fp32", loss_state=LossAwareSampler(10)), tmp_path / "state.safetensors")
    with pytest.raises(checkpoint.CheckpointError, match="other settings"):
        load_state(Trainer(line, settings, "fp32", loss_state=LossAwareSampler(20)), tmp_path / "state.safetensors")


@pytest.mark.integration
def test_the_train_command_draws_by_importance(call, picture_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = ["--data", picture_folder, "--out", out, "--preset", "tiny", "--device", "cpu", "--codec", "pixel"]
    command += ["--iterations", 2, "--batch-size", 2, "--denoiser-timesteps", "importance"]
    assert call(train.main, *command).status == 0
    assert checkpoint.read_tensors(state_file(out, "denoiser"))[0]["memory.seen"].sum() == 4
