"""A model under another schedule meets the noise levels of that one, and is asked as it was trained."""

from __future__ import annotations

import pytest
import torch

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.prediction import predictor
from ddpm_core.diffusion.samplers import last
from ddpm_core.inspection.rescheduled import Rescheduled, same_noise, under_schedule
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest


def test_every_state_is_answered_by_the_nearest_noise_level() -> None:
    asked, trained = Diffuser(schedule="cosine"), Diffuser()
    states = same_noise(asked, trained)
    assert states[0] == 0
    wanted, levels = torch.logit(asked.alpha_bar[1:]), torch.logit(trained.alpha_bar[1:])
    best = (wanted[:, None] - levels).abs().min(1).values
    torch.testing.assert_close((wanted - levels[states[1:] - 1]).abs(), best)
    assert same_noise(trained, trained).tolist() == list(range(1000))


def test_under_its_own_schedule_it_is_itself_and_under_another_it_makes_another_picture(
    tiny_model: LatentDiffusion,
) -> None:
    assert under_schedule(tiny_model, tiny_model.diffuser.schedule) is tiny_model
    request = GenerateRequest(seed=3, steps=3)
    other = under_schedule(tiny_model, "cosine")
    torch.testing.assert_close(other.diffuser.alpha_bar, Diffuser(schedule="cosine").alpha_bar)
    assert not torch.equal(last(other.generate(request)).latent, last(tiny_model.generate(request)).latent)


def test_the_network_is_asked_at_the_state_where_it_met_that_noise(tiny_model: LatentDiffusion) -> None:
    asked = Diffuser(schedule="cosine")
    network = Rescheduled(tiny_model.denoiser, asked, tiny_model.diffuser)
    noisy, t = torch.randn(2, 4, 8, 8), torch.tensor([300, 700])
    there = same_noise(asked, tiny_model.diffuser)[t]
    with torch.inference_mode():
        torch.testing.assert_close(network(noisy, t), tiny_model.denoiser(noisy, there))
        # what it means is said in the noise that the latent really has
        alpha, sigma = asked.signal_and_noise(t, noisy)
        eps = predictor(network, asked)(noisy, t).eps
        torch.testing.assert_close(eps, sigma * noisy + alpha * network(noisy, t))


@pytest.mark.parametrize("label", [None, "bee"])
def test_classes_guidance_and_wrappers_stay(class_model: LatentDiffusion, label: str | None) -> None:
    calls = []

    def seen(predict):
        return lambda noisy, t: (calls.append(int(t[0])), predict(noisy, t))[1]

    other = under_schedule(class_model.with_wrapper(seen), "flow")
    last(other.generate(GenerateRequest(steps=2, label=label)))
    assert len(calls) == 2
    assert other.classes == class_model.classes
