"""What a denoiser minimises."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.prediction import PredictionType
from ddpm_core.networks.unet import UNet
from ddpm_core.training import losses as objective
from ddpm_core.training.losses import denoiser_loss, loss_by_decile, loss_weights
from ddpm_core.training.masks import random_masks
from ddpm_core.training.timesteps import LossAwareSampler, draw_timesteps
from tests.training.small_runs import Answer


@pytest.mark.parametrize("prediction", get_args(PredictionType))
def test_a_network_that_knows_the_answer_has_no_loss(prediction: str) -> None:
    diffuser, clean = Diffuser(), torch.zeros(16, 4, 6, 6)  # of nothing, the noisy latent is the noise, scaled

    def perfect(noisy: Tensor, t: Tensor) -> Tensor:
        signal, noise = diffuser.signal_and_noise(t, noisy)
        eps, x0 = noisy / noise, torch.zeros_like(noisy)
        return {"eps": eps, "x0": x0, "v": signal * eps, "velocity": eps}[prediction]

    loss = denoiser_loss(Answer(prediction, perfect), clean, diffuser, "uniform", clamp_share=0.0)["loss"]
    assert loss.item() == pytest.approx(0, abs=1e-9)


def test_a_network_that_says_nothing_has_the_loss_of_the_noise_itself() -> None:
    network = Answer("eps", lambda noisy, t: torch.zeros_like(noisy))
    loss = denoiser_loss(network, torch.randn(64, 4, 16, 16), Diffuser(), "uniform", clamp_share=0.3)["loss"]
    assert loss.item() == pytest.approx(1, abs=0.02)


@pytest.fixture
def mask(monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """The regions the objective will keep: another one per entry."""
    masks = torch.rand(8, 1, 6, 5) < 0.4
    monkeypatch.setattr(objective, "random_masks", lambda batch, height, width: masks)
    return masks


def test_held_cells_are_shown_clean_and_left_out_of_the_loss(mask: Tensor) -> None:
    clean = torch.randn(8, 4, 6, 5)

    def loss(in_mask: float, elsewhere: float) -> float:
        torch.manual_seed(0)
        network = Answer("x0", lambda noisy, t: clean + torch.where(mask, in_mask, elsewhere))
        value = denoiser_loss(network, clean, Diffuser(), "uniform", clamp_share=1.0)["loss"].item()
        shown = network.shown[0][0]
        assert torch.equal(shown[mask.expand_as(shown)], clean[mask.expand_as(shown)])
        assert (shown != clean)[~mask.expand_as(shown)].all()
        return value

    assert loss(in_mask=0.0, elsewhere=0.0) == 0
    assert loss(in_mask=100.0, elsewhere=0.0) == 0
    assert loss(in_mask=100.0, elsewhere=2.0) == pytest.approx(4)  # the mean is over what is left


def test_without_a_clamp_share_every_cell_is_noisy_and_counts(mask: Tensor) -> None:
    clean = torch.randn(8, 4, 6, 5)
    network = Answer("x0", lambda noisy, t: clean + torch.where(mask, 3.0, 0.0))
    loss = denoiser_loss(network, clean, Diffuser(), "uniform", clamp_share=0.0)["loss"].item()
    assert (network.shown[0][0] != clean).all()
    assert loss == pytest.approx(9 * mask.float().mean().item(), rel=1e-4)


def test_the_clamp_share_is_the_fraction_of_entries_with_a_held_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objective, "random_masks", lambda batch, h, w: torch.ones(batch, 1, h, w, dtype=torch.bool))
    clean = torch.randn(4000, 1, 2, 2)
    network = Answer("x0", lambda noisy, t: clean)
    denoiser_loss(network, clean, Diffuser(), "uniform", clamp_share=0.3)
    held = (network.shown[0][0] == clean).flatten(1).all(1).float().mean().item()
    assert held == pytest.approx(0.3, abs=0.03)


def test_a_batch_held_altogether_gives_a_finite_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objective, "random_masks", lambda batch, h, w: torch.ones(batch, 1, h, w, dtype=torch.bool))
    network = Answer("x0", lambda noisy, t: noisy + 1)
    assert denoiser_loss(network, torch.randn(4, 1, 2, 2), Diffuser(), "uniform", 1.0)["loss"] == 0


def test_timesteps_of_clamped_examples_may_be_uniform_while_all_others_are_as_drawn() -> None:
    diffuser, clean = Diffuser(), torch.randn(6000, 1, 2, 2)
    found = {}
    for how in ("drawn", "uniform"):
        network = Answer("x0", lambda noisy, t: noisy)
        torch.manual_seed(0)
        denoiser_loss(network, clean, diffuser, "lognormal", 0.5, clamp_timesteps=how)
        found[how] = network.shown[0]
    torch.manual_seed(0)
    drawn = draw_timesteps(6000, "lognormal", diffuser)
    assert torch.equal(found["drawn"][1], drawn)
    other = found["uniform"][1] != drawn
    assert other.float().mean() == pytest.approx(0.5, abs=0.03)
    assert found["uniform"][1][other].double().mean().item() == pytest.approx(500, abs=20)
    assert drawn.double().mean() < 400


def test_examples_drawn_apart_are_neither_weighed_by_importance_nor_remembered() -> None:
    diffuser, clean = Diffuser(3), torch.randn(4000, 1, 2, 2)
    network = Answer("x0", lambda noisy, t: clean + torch.where(t == 1, 1.0, 3.0)[:, None, None, None])
    history = LossAwareSampler(3, history_length=5)
    history.update(torch.tensor([1, 2] * 5), torch.tensor([1.0, 9.0] * 5))
    choices = {"timestep_sampler": history, "clamp_timesteps": "uniform"}
    assert denoiser_loss(network, clean, diffuser, "importance", 1.0, **choices)["loss"].item() == pytest.approx(
        5, rel=0.05
    )
    history.commit(lambda rows: rows)
    assert history.seen.tolist() == [5, 5]
    assert denoiser_loss(network, clean, diffuser, "importance", 0.0, **choices)["loss"].item() == pytest.approx(
        5, rel=0.05
    )
    history.commit(lambda rows: rows)
    assert history.seen.sum() == 4010


def test_a_fraction_of_the_clamped_examples_is_recoloured_and_no_other() -> None:
    clean, recoloured = torch.zeros(4000, 1, 4, 4), torch.ones(4000, 1, 4, 4)
    network = Answer("x0", lambda noisy, t: noisy)
    choices = {"recoloured": recoloured, "clamp_recolour": 0.5, "clamp_middle": 1.0}
    denoiser_loss(network, clean, Diffuser(), "uniform", 0.4, **choices)
    shown = network.shown[0][0][:, 0, 0, 0]  # a corner is held clean, or noisy
    assert (shown == 1).float().mean() == pytest.approx(0.2, abs=0.03)
    assert (shown == 0).float().mean() == pytest.approx(0.2, abs=0.03)


def test_with_nothing_requested_no_random_number_more_is_drawn() -> None:
    """So runs of earlier versions go on as they would have."""
    clean = torch.randn(8, 4, 6, 6)
    torch.manual_seed(0)
    denoiser_loss(Answer("x0", lambda noisy, t: noisy), clean, Diffuser(), "lognormal", 0.5)
    after = torch.rand(1)
    torch.manual_seed(0)
    draw_timesteps(8, "lognormal", Diffuser())
    torch.randn_like(clean)
    random_masks(8, 6, 6)
    torch.rand(8)
    assert torch.equal(torch.rand(1), after)


def snr_at(t: Tensor, diffuser: Diffuser) -> Tensor:
    alpha_bar = diffuser.alpha_bar[t]
    return alpha_bar / (1 - alpha_bar)


EVERY = torch.arange(1, 1000)


@pytest.mark.parametrize(
    ("prediction", "formula"),
    [
        ("x0", lambda snr: snr.clamp_max(5)),
        ("eps", lambda snr: (5 / snr).clamp_max(1)),
        ("v", lambda snr: snr.clamp_max(5) / (snr + 1)),
    ],
)
def test_min_snr_weights_are_those_of_hang_et_al(prediction: str, formula) -> None:
    weights = loss_weights(EVERY, "min-snr", prediction, Diffuser())
    torch.testing.assert_close(weights, formula(snr_at(EVERY, Diffuser())).float())


@pytest.mark.parametrize(
    ("prediction", "formula"),
    [
        ("eps", lambda snr: 1 / (1 + snr)),
        ("x0", lambda snr: snr / (1 + snr)),
        ("v", lambda snr: snr / (1 + snr) ** 2),
    ],
)
def test_p2_weights_are_those_of_choi_et_al(prediction: str, formula) -> None:
    weights = loss_weights(EVERY, "p2", prediction, Diffuser())
    torch.testing.assert_close(weights, formula(snr_at(EVERY, Diffuser())).float())


@pytest.mark.parametrize("weighting", ["min-snr", "p2"])
def test_the_same_belief_has_the_same_weighted_loss_in_every_prediction_type(weighting: str) -> None:
    """Networks that believe in the same wrong clean latent, each in its own words."""
    clean, diffuser = torch.randn(64, 4, 6, 6), Diffuser()

    def loss(prediction: str) -> float:
        def belief(noisy: Tensor, t: Tensor) -> Tensor:
            signal, noise = diffuser.signal_and_noise(t, noisy)
            eps = (noisy - signal * 0.5 * clean) / noise
            v, velocity = signal * eps - noise * 0.5 * clean, eps - 0.5 * clean
            return {"x0": 0.5 * clean, "eps": eps, "v": v, "velocity": velocity}[prediction]

        torch.manual_seed(0)
        return denoiser_loss(Answer(prediction, belief), clean, diffuser, "uniform", 0.0, weighting)["loss"].item()

    for prediction in get_args(PredictionType):
        assert loss(prediction) == pytest.approx(loss("x0"), rel=1e-3)


def test_without_a_weighting_every_timestep_counts_alike_and_with_one_as_its_weight() -> None:
    clean, diffuser = torch.randn(500, 1, 2, 2), Diffuser()
    network = Answer("x0", lambda noisy, t: clean + 1)
    assert denoiser_loss(network, clean, diffuser, "uniform", 0.0)["loss"].item() == pytest.approx(1)
    weighted = denoiser_loss(network, clean, diffuser, "uniform", 0.0, "min-snr")["loss"].item()
    drawn = network.shown[-1][1]
    assert weighted == pytest.approx(snr_at(drawn, diffuser).clamp_max(5).mean().item(), rel=1e-4)


@pytest.mark.parametrize("prediction", get_args(PredictionType))
def test_the_gradient_reaches_every_parameter_of_the_network(shaken, prediction: str) -> None:
    unet = shaken(UNet(channels=(32, 64), blocks=1, prediction=prediction))
    denoiser_loss(unet, torch.randn(4, 4, 8, 8), Diffuser(), "lognormal", 0.3)["loss"].backward()
    for name, parameter in unet.named_parameters():
        assert parameter.grad.abs().max() > 0, name


def test_the_loss_by_decile_is_that_of_each_tenth_of_the_timesteps_under_fixed_noise() -> None:
    clean = torch.randn(20, 2, 3, 3)
    network = Answer("x0", lambda noisy, t: torch.zeros_like(noisy) + t[:, None, None, None] / 1000)
    losses = loss_by_decile(network, clean, Diffuser(), batch_size=7)
    assert len(losses) == 10
    times = torch.cat([t for _, t in network.shown]).view(10, 20)
    for decile, t in enumerate(times):
        assert 1 + 99 * decile <= t.min() <= t.max() <= 101 + 100 * decile
        wanted = (t[:, None, None, None] / 1000 - clean).square().mean().item()
        assert losses[decile] == pytest.approx(wanted, rel=1e-5)
    assert times.max() <= 999
    assert loss_by_decile(network, clean, Diffuser(), batch_size=20) == pytest.approx(losses)


def test_a_teacher_is_shown_what_the_network_is_and_its_answer_is_what_counts() -> None:
    teacher = Answer("v", lambda noisy, t: 2 * noisy)
    pupil = Answer("v", lambda noisy, t: 2 * noisy)
    clean = torch.randn(8, 4, 8, 8)
    loss = denoiser_loss(pupil, clean, Diffuser(), "uniform", 0.5, teacher=teacher)["loss"]
    assert loss == 0
    for pupil_input, teacher_input in zip(pupil.shown[0], teacher.shown[0], strict=True):
        assert torch.equal(pupil_input, teacher_input)
    silent = Answer("v", lambda noisy, t: torch.zeros_like(noisy))
    assert denoiser_loss(silent, clean, Diffuser(), "uniform", 0.5, teacher=teacher)["loss"] > 1


def test_a_teacher_answers_in_its_own_type_whatever_its_pupil_computes_in() -> None:
    believed: list[torch.dtype] = []

    def teacher(noisy: Tensor, t: Tensor) -> Tensor:
        believed.append(torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype)
        return noisy

    with torch.autocast("cpu", torch.bfloat16):
        denoiser_loss(
            Answer("v", lambda noisy, t: noisy), torch.randn(4, 4, 8, 8), Diffuser(), "uniform", 0.0, teacher=teacher
        )
    assert believed == [torch.float32]
