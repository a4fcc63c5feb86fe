"""Codec, denoiser and diffuser together."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.diffusion.guidance import autoguidance
from ddpm_core.diffusion.illusions import VIEWS, anagram
from ddpm_core.diffusion.noise import SeededNoise
from ddpm_core.diffusion.prediction import Prediction, PredictionType, predictor
from ddpm_core.diffusion.samplers import SAMPLERS, last, sample_loop
from ddpm_core.machine import pick_device
from ddpm_core.networks.unet import UNet
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import AnagramRequest, BetweenRequest, EditRequest, GenerateRequest, InpaintRequest


def bytes_of(model: LatentDiffusion, latent: Tensor) -> np.ndarray:
    return np.stack([np.asarray(picture) for picture in model.pictures(latent)]).astype(int)


def test_a_checkpoint_is_loaded_with_all_it_says(tiny_model: LatentDiffusion, tiny_checkpoint: Path) -> None:
    assert (tiny_model.name, tiny_model.about, tiny_model.size) == ("tiny", "Noise", 32)
    assert (tiny_model.codec.stride, tiny_model.codec.latent_channels) == (4, 4)
    assert tiny_model.diffuser.num_timesteps == 1000
    assert LatentDiffusion.load(str(tiny_checkpoint), "cpu").name == "tiny"


def test_a_checkpoint_is_named_after_its_folder_wherever_one_stands(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_checkpoint)
    assert LatentDiffusion.load(".", "cpu").name == "tiny"


@pytest.mark.parametrize("name", ["abacus", "cup", "", "cpu:abc", "cpu:"])
def test_a_device_this_machine_lacks_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no device"):
        pick_device(name)


def test_the_processor_is_always_there_and_auto_always_finds_something() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type in {"cpu", "cuda", "mps"}


def test_the_predicted_noise_has_the_latents_shape_and_depends_on_latent_and_time(tiny_model: LatentDiffusion) -> None:
    noisy = torch.randn(2, 4, 8, 8)
    eps = tiny_model.predict(noisy, torch.tensor([500, 500])).eps
    assert eps.shape == noisy.shape
    assert not torch.equal(eps, tiny_model.predict(noisy, torch.tensor([500, 100])).eps)
    assert not torch.equal(eps[0], eps[1])


@pytest.mark.parametrize("prediction", get_args(PredictionType))
def test_noise_and_clean_latent_predicted_add_up_to_the_noisy_latent(
    tiny_model: LatentDiffusion, prediction: str
) -> None:
    noisy, t = torch.randn(2, 4, 8, 8), torch.tensor([300, 800])
    before = tiny_model.denoiser.prediction
    tiny_model.denoiser.prediction = prediction
    try:
        eps = tiny_model.predict(noisy, t).eps
    finally:
        tiny_model.denoiser.prediction = before
    clean = tiny_model.diffuser.denoised(noisy, eps, t)
    torch.testing.assert_close(tiny_model.diffuser.add_noise(clean, eps, t), noisy, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_seed_gives_the_same_picture_whatever_the_count(tiny_model: LatentDiffusion, sampler: str) -> None:
    def made(seed: int, count: int) -> np.ndarray:
        request = GenerateRequest(seed=seed, count=count, steps=6, sampler=sampler)
        return bytes_of(tiny_model, last(tiny_model.generate(request)).latent)

    together = made(seed=3, count=4)
    assert together.shape == (4, 32, 32, 3)
    for i in range(4):
        assert abs(made(seed=3 + i, count=1)[0] - together[i]).max() <= 1
    assert abs(made(seed=5, count=2) - together[2:]).max() <= 1
    assert abs(together[0] - together[1]).mean() > 2
    assert np.array_equal(made(seed=3, count=4), together)


def test_generating_yields_a_step_per_reverse_step(tiny_model: LatentDiffusion) -> None:
    steps = list(tiny_model.generate(GenerateRequest(count=2, steps=5)))
    assert [step.t for step in steps] == tiny_model.diffuser.spaced_timesteps(5)[1:]
    for step in steps:
        assert step.latent.shape == step.denoised.shape == (2, 4, 8, 8)
        assert torch.isfinite(step.latent).all()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_request_knows_how_many_steps_its_run_yields(tiny_model: LatentDiffusion, sampler: str) -> None:
    choices = {"steps": 5, "sampler": sampler, "spacing": "logsnr"}
    assert len(list(tiny_model.generate(GenerateRequest(**choices)))) == GenerateRequest(**choices).calls
    mask = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    mask[..., :16] = True
    for jump in (1, 2):
        request = InpaintRequest(**choices, resamples=3, jump=jump)
        assert len(list(tiny_model.inpaint(request, torch.zeros(1, 3, 32, 32), mask))) == request.calls


def test_spacing_and_eta_reach_the_sampler(tiny_model: LatentDiffusion) -> None:
    plain, spaced, noisy = (
        list(tiny_model.generate(GenerateRequest(steps=4, sampler="ddim", **choices)))
        for choices in ({}, {"spacing": "quadratic"}, {"eta": 0.5})
    )
    assert [step.t for step in spaced] == tiny_model.diffuser.spaced_timesteps(4, "quadratic")[1:]
    assert [step.t for step in noisy] == [step.t for step in plain]
    assert not torch.equal(noisy[-1].latent, plain[-1].latent)


@pytest.mark.parametrize(
    ("usual", "other"),
    [
        ({"sampler": "ddpm"}, {"variance_type": "fixed_large"}),
        ({"sampler": "langevin"}, {"variance_type": "fixed_large"}),
        ({"sampler": "langevin"}, {"snr": 0.01}),
        ({"sampler": "sde-dpm-solver++"}, {"noise_above": 600}),
        ({"sampler": "sde-dpm-solver++"}, {"first_order_above": 600}),
        ({"spacing": "karras"}, {"rho": 2.0}),
        ({"spacing": "power"}, {"exponent": 2.0}),
        ({"sampler": "heun"}, {"churn": 3.0}),
        ({"sampler": "unipc"}, {"churn": 3.0}),
    ],
)
def test_what_only_some_samplers_and_spacings_have_reaches_them(
    tiny_model: LatentDiffusion, usual: dict, other: dict
) -> None:
    plain = list(tiny_model.generate(GenerateRequest(steps=4, **usual)))
    changed = list(tiny_model.generate(GenerateRequest(steps=4, **usual, **other)))
    assert len(changed) == len(plain) == 4
    assert not torch.equal(changed[-1].latent, plain[-1].latent)


def test_generating_leaves_the_global_random_numbers_and_the_gradient_mode_alone(tiny_model: LatentDiffusion) -> None:
    state = torch.get_rng_state()
    steps = tiny_model.generate(GenerateRequest(steps=3, sampler="ddpm"))
    next(steps)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    last(steps)
    assert torch.equal(torch.get_rng_state(), state)


def test_more_steps_than_the_schedule_has_are_refused(tiny_model: LatentDiffusion) -> None:
    with pytest.raises(ValueError, match="from 1 to 999"):
        last(tiny_model.generate(GenerateRequest.model_construct(steps=1000)))


# Playing


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_the_way_between_two_seeds_ends_at_what_they_make_alone(tiny_model: LatentDiffusion, sampler: str) -> None:
    way = BetweenRequest(seed=3, to=9, count=4, steps=5, sampler=sampler)
    steps = list(tiny_model.between(way))
    made = steps[-1].latent
    assert (len(steps), len(made)) == (way.calls, 4)
    for entry, seed in ((0, 3), (-1, 9)):
        alone = last(tiny_model.generate(GenerateRequest(seed=seed, steps=5, sampler=sampler))).latent[0]
        torch.testing.assert_close(made[entry], alone, rtol=1e-3, atol=1e-3)
    # From picture to picture one goes on, and nobody goes there at once.
    apart = [(one - other).square().mean().item() for one, other in pairwise(made)]
    assert 0 < max(apart) < (made[0] - made[-1]).square().mean().item()
    third = last(tiny_model.between(way.singles()[2])).latent[0]
    torch.testing.assert_close(third, made[2], rtol=1e-3, atol=1e-3)


def test_an_anagram_is_predicted_in_both_views_by_whatever_predicts(
    tiny_model: LatentDiffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    guided = autoguidance(tiny_model.predict, lambda z, t: Prediction(torch.zeros_like(z)), 1.5)
    monkeypatch.setattr(tiny_model, "predict", guided)
    request = AnagramRequest(seed=4, count=2, steps=4, sampler="ddim", view="turned-90")
    steps = list(tiny_model.anagram(request))
    assert len(steps) == request.calls
    both = anagram([(guided, VIEWS["identity"]), (guided, VIEWS["turned-90"])])
    timesteps, noise = tiny_model.diffuser.spaced_timesteps(4), SeededNoise([4, 5], (4, 8, 8))
    with torch.inference_mode():
        wanted = last(sample_loop(SAMPLERS["ddim"], both, tiny_model.diffuser, timesteps, noise)).latent
    torch.testing.assert_close(steps[-1].latent, wanted)
    assert tiny_model.predict is guided
    plain = last(tiny_model.generate(GenerateRequest(seed=4, count=2, steps=4))).latent
    assert (plain - wanted).abs().max() > 0.01


def test_the_parameters_say_all_that_is_needed_to_make_the_picture_again(tiny_model: LatentDiffusion) -> None:
    generate = GenerateRequest(seed=4, steps=9, sampler="ddpm")
    assert tiny_model.png_parameters(generate) == {
        "action": "generate",
        "checkpoint": "tiny",
        "seed": 4,
        "count": 1,
        "steps": 9,
        "sampler": "ddpm",
        "spacing": "uniform",
        "eta": 0.0,
        "variance_type": "learned",
        "churn": 0.0,
    }
    said = tiny_model.png_parameters(InpaintRequest(mask_rule="nearest"))
    assert (said["action"], said["mask_rule"]) == ("inpaint", "nearest")
    said = tiny_model.png_parameters(EditRequest(strength=0.3))
    assert (said["action"], said["strength"]) == ("edit", 0.3)


def test_a_guide_steers_every_prediction_and_travels_with_the_checkpoint(own_checkpoint: Path, shaken) -> None:
    plain = LatentDiffusion.load(own_checkpoint, "cpu")
    config = checkpoint.read_config(own_checkpoint)
    checkpoint.write_weights(own_checkpoint / checkpoint.GUIDE_WEIGHTS, shaken(UNet(**config.denoiser), seed=9))
    changes = {"guide": config.denoiser, "guidance": 2.0}
    checkpoint.write_config(own_checkpoint, config.model_copy(update=changes))
    guided = LatentDiffusion.load(own_checkpoint, "cpu")
    z, t = torch.randn(2, 4, 8, 8), torch.tensor([10, 800])
    with torch.inference_mode():
        alone = predictor(guided.guide, guided.diffuser)(z, t).eps
        everywhere = 2 * plain.predict(z, t).eps - alone
        torch.testing.assert_close(guided.predict(z, t).eps, everywhere)
        checkpoint.write_config(own_checkpoint, config.model_copy(update=changes | {"guidance_interval": (500, 900)}))
        limited = LatentDiffusion.load(own_checkpoint, "cpu").predict(z, t).eps
        torch.testing.assert_close(limited, torch.stack([plain.predict(z, t).eps[0], everywhere[1]]))

    checkpoint.write_config(own_checkpoint, config.model_copy(update=changes | {"guidance_interval": (900, 500)}))
    with pytest.raises(CheckpointError, match=r"guidance_interval: .*first timestep must not be above the last"):
        LatentDiffusion.load(own_checkpoint, "cpu")
    checkpoint.write_config(own_checkpoint, config.model_copy(update=changes))
    (own_checkpoint / checkpoint.GUIDE_WEIGHTS).unlink()
    with pytest.raises(CheckpointError, match=r"guide\.safetensors"):
        LatentDiffusion.load(own_checkpoint, "cpu")
