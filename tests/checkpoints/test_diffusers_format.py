"""Folders that diffusers saved, held against diffusers' own pipelines and schedulers fed with the same noise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DDIMPipeline,
    DDPMPipeline,
    DDPMScheduler,
    DiffusionPipeline,
    EulerDiscreteScheduler,
    LDMPipeline,
    VQModel,
)

from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest
from tests.checkpoints.saved_pipelines import (
    CLOSE,
    conditional,
    ours,
    saved,
    stepped,
    theirs,
)
from tests.tiny_pipelines import SIDE, STATES, autoencoder, ddim, unet

pytestmark = pytest.mark.usefixtures("in_full_precision")


SCHEDULES = ["linear", "scaled_linear", "squaredcos_cap_v2"]
PREDICTIONS = ["epsilon", "sample", "v_prediction"]


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_what_is_predicted_at_a_state_is_what_diffusers_predicts_a_timestep_earlier(
    schedule: str, prediction: str, tmp_path: Path
) -> None:
    pipeline = DDIMPipeline(unet(), ddim(beta_schedule=schedule, prediction_type=prediction))
    model, noisy = saved(pipeline, tmp_path), torch.randn(1, 3, SIDE, SIDE)
    pipeline.scheduler.set_timesteps(STATES)
    assert model.diffuser.num_timesteps == STATES + 1
    for t in (0, 7, STATES - 1):
        with torch.inference_mode():
            output = pipeline.unet(noisy, t).sample
            expected = pipeline.scheduler.step(output, t, noisy).pred_original_sample
            state = torch.tensor([t + 1])
            clean = model.diffuser.denoised(noisy, model.predict(noisy, state).eps, state)
        torch.testing.assert_close(clean, expected, rtol=1e-4, atol=3e-4)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_seed_makes_the_picture_that_it_makes_in_a_ddim_pipeline(
    schedule: str, prediction: str, tmp_path: Path
) -> None:
    pipeline = DDIMPipeline(unet(), ddim(beta_schedule=schedule, prediction_type=prediction))
    model = saved(pipeline, tmp_path)
    made = ours(model, seed=4, count=2, steps=5)
    for picture, seed in zip(made, (4, 5), strict=True):
        torch.testing.assert_close(picture[None], theirs(pipeline, seed), **CLOSE)
    assert made.std() > 0.1
    assert (made[0] - made[1]).abs().mean() > 0.1


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_a_seed_makes_the_picture_that_it_makes_in_a_ddpm_pipeline(prediction: str, clip: bool, tmp_path: Path) -> None:
    settings = {
        "beta_schedule": "squaredcos_cap_v2",
        "prediction_type": prediction,
        "clip_sample": clip,
        "clip_sample_range": 0.5,
    }
    pipeline = DDPMPipeline(unet(), DDPMScheduler(num_train_timesteps=STATES, **settings))
    model = saved(pipeline, tmp_path)
    assert model.limit == (0.5 if clip else None)
    made = ours(model, seed=3, steps=STATES, sampler="ddpm")
    torch.testing.assert_close(made, theirs(pipeline, 3, STATES), **CLOSE)
    assert made.abs().max() < 0.5 + 1e-4 if clip else made.abs().max() > 0.6


def test_clipping_is_done_in_ddim_as_diffusers_does_if_asked_to_be_consistent(tmp_path: Path) -> None:
    pipeline = DDIMPipeline(unet(), ddim(clip_sample=True))
    made = ours(saved(pipeline, tmp_path), seed=3, steps=10)
    torch.testing.assert_close(made, theirs(pipeline, 3, 10, use_clipped_model_output=True), **CLOSE)


def test_what_a_scheduler_leaves_unsaid_is_its_classs_default(tmp_path: Path) -> None:
    saved(DDPMPipeline(unet(), DDPMScheduler()), tmp_path)
    path = tmp_path / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps({"_class_name": "DDPMScheduler"}))
    model = LatentDiffusion.load(tmp_path, "cpu")
    assert (model.limit, model.denoiser.prediction, model.diffuser.num_timesteps) == (1.0, "eps", 1001)


def test_any_scheduler_that_has_betas_will_do(tmp_path: Path) -> None:
    model = saved(
        DDPMPipeline(unet(), EulerDiscreteScheduler(num_train_timesteps=STATES, beta_schedule="scaled_linear")),
        tmp_path,
    )
    assert (model.diffuser.schedule, model.diffuser.num_timesteps, model.limit) == ("scaled-linear", STATES + 1, None)


def test_a_grey_network_makes_grey_pictures(tmp_path: Path) -> None:
    pipeline = DDIMPipeline(unet(1), ddim())
    made = ours(saved(pipeline, tmp_path), seed=3, steps=5)
    torch.testing.assert_close(made, theirs(pipeline, 3).expand(-1, 3, -1, -1), **CLOSE)


# Classes


def test_with_a_null_class_a_class_is_followed_or_left_out(tmp_path: Path) -> None:
    pipeline, model = conditional(tmp_path, id2label={"0": "ant", "1": "bee", "2": "wasp"})
    assert (model.classes, model.denoiser.null_class) == (("ant", "bee", "wasp"), 3)
    for label, guidance in (("bee", 1.0), ("bee", 3.0), ("wasp", 0.5)):
        made = ours(model, seed=2, steps=5, label=label, guidance=guidance)
        expected = stepped(pipeline, 2, model.classes.index(label), guidance)
        torch.testing.assert_close(made, expected.clamp(-1, 1), **CLOSE)
    torch.testing.assert_close(ours(model, seed=2, steps=5), stepped(pipeline, 2, 3).clamp(-1, 1), **CLOSE)


def test_without_a_null_class_a_class_is_needed_and_cannot_be_guided_to(tmp_path: Path) -> None:
    pipeline, model = conditional(tmp_path)
    assert (model.classes, model.denoiser.null_class) == (("0", "1", "2", "3"), None)
    made = ours(model, seed=2, steps=5, label=3, guidance=1)
    torch.testing.assert_close(made, stepped(pipeline, 2, 3).clamp(-1, 1), **CLOSE)
    with pytest.raises(ValueError, match=r"always wants a class; choose from: 0, 1, 2, 3\.$"):
        model.generate(GenerateRequest())
    with pytest.raises(ValueError, match=r"cannot be guided towards one; set guidance to 1\.$"):
        model.generate(GenerateRequest(label="3", guidance=2))


# Autoencoders


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (AutoencoderKL, {"scaling_factor": 0.3}),
        (AutoencoderKL, {"scaling_factor": 0.3, "shift_factor": 0.2}),
        (AutoencoderKL, {"scaling_factor": 0.5, "latents_mean": [0.1, -0.2], "latents_std": [2.0, 0.5]}),
        (VQModel, {"scaling_factor": 0.3, "num_vq_embeddings": 16}),
    ],
)
def test_an_autoencoder_gives_latents_scaled_as_its_config_says_and_takes_them_back(
    kind: type, settings: dict[str, Any], tmp_path: Path
) -> None:
    vae = autoencoder(kind, **settings)
    model, image = saved(LDMPipeline(vae, unet(2), ddim()), tmp_path), torch.rand(2, 3, 2 * SIDE, 2 * SIDE) * 2 - 1
    assert (model.size, model.codec.stride, model.codec.latent_channels) == (2 * SIDE, 2, 2)
    with torch.inference_mode():
        encoded = vae.encode(image)
        plain = encoded.latents if kind is VQModel else encoded.latent_dist.mean
        mean = torch.tensor(settings.get("latents_mean", [settings.get("shift_factor", 0.0)] * 2))[:, None, None]
        std = torch.tensor(settings.get("latents_std", [1.0] * 2))[:, None, None]
        latent = model.codec.encode(image)
        torch.testing.assert_close(latent, (plain - mean) * settings["scaling_factor"] / std, **CLOSE)
        torch.testing.assert_close(model.codec.decode(latent), vae.decode(plain).sample, **CLOSE)


@pytest.mark.parametrize("kind", [AutoencoderKL, VQModel])
def test_a_seed_makes_the_picture_that_it_makes_in_a_latent_pipeline(kind: type, tmp_path: Path) -> None:
    pipeline = LDMPipeline(autoencoder(kind), unet(2), ddim(beta_schedule="scaled_linear"))
    made = ours(saved(pipeline, tmp_path), seed=6, steps=5)
    assert made.shape == (1, 3, 2 * SIDE, 2 * SIDE)
    torch.testing.assert_close(made, theirs(pipeline, 6), **CLOSE)


class LatentPipeline(DiffusionPipeline):
    """Parts under the names that most pipelines of theirs have; of a `UNet2DModel`, none has them."""

    def __init__(self, vae: AutoencoderKL, unet: Any, scheduler: Any):
        super().__init__()
        self.register_modules(vae=vae, unet=unet, scheduler=scheduler)


def test_classes_are_followed_in_the_latents_of_an_autoencoder_too(tmp_path: Path) -> None:
    vae = autoencoder(scaling_factor=0.3, shift_factor=0.2)
    pipeline = LatentPipeline(vae, unet(2, num_class_embeds=4), ddim())
    model = saved(pipeline, tmp_path, id2label={"0": "ant", "1": "bee", "2": "wasp"})
    assert (tmp_path / "vae").is_dir()
    assert (model.codec.stride, model.classes, model.denoiser.null_class) == (2, ("ant", "bee", "wasp"), 3)
    for label, number in (("bee", 1), ("wasp", 2), (None, 3)):
        made = ours(model, seed=2, steps=5, label=label, guidance=3)
        with torch.inference_mode():
            expected = vae.decode(stepped(pipeline, 2, number, 3) / 0.3 + 0.2).sample.clamp(-1, 1)
        torch.testing.assert_close(made, expected, **CLOSE)
    assert (made - ours(model, seed=2, steps=5, label="bee")).abs().mean() > 1e-3
