"""Folders that diffusers saved, held against diffusers' own pipelines and schedulers fed with the same noise."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DDIMPipeline,
    DDPMPipeline,
    DDPMScheduler,
    DiffusionPipeline,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    LDMPipeline,
    VQModel,
)
from PIL import Image
from torch import Tensor

from ddpm_core.checkpoints import diffusers_format, folders
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.commands import edit, evaluate, sample
from ddpm_core.diffusion.samplers import last
from ddpm_core.evaluation import checkpoint as measuring
from ddpm_core.evaluation.classifier import Classifier
from ddpm_core.images.files import read_parameters
from ddpm_core.networks.cpu import packed as inference
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import EditRequest, GenerateRequest, InpaintRequest
from tests.command_lines import assert_refused
from tests.tiny_pipelines import SIDE, STATES, autoencoder, ddim, unet

CLOSE = {"rtol": 0, "atol": 3e-4}  # theirs counts betas in fp32; levels of a picture lie 8e-3 apart
SCHEDULES = ["linear", "scaled_linear", "squaredcos_cap_v2"]
PREDICTIONS = ["epsilon", "sample", "v_prediction"]


@pytest.fixture(autouse=True)
def in_full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks are used in fp32, whatever this machine is fast in, so that results can be compared closely."""
    monkeypatch.setattr(inference, "resolve_precision", lambda precision, device: torch.float32)


def saved(pipeline: Any, folder: Path, **index: Any) -> LatentDiffusion:
    """The pipeline written, with more in its list of parts, and read by us."""
    pipeline.save_pretrained(folder)
    path = folder / diffusers_format.PIPELINE
    path.write_text(json.dumps(json.loads(path.read_text()) | index))
    return LatentDiffusion.load(folder, "cpu")


def theirs(pipeline: Any, seed: int, steps: int = 5, **choices: Any) -> Tensor:
    """What diffusers makes from a seed, (1, 3, H, W) in [-1, 1]."""
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(seed)
    made = pipeline(generator=generator, num_inference_steps=steps, output_type="np", **choices).images
    return torch.from_numpy(made).permute(0, 3, 1, 2) * 2 - 1


def ours(model: LatentDiffusion, **request: Any) -> Tensor:
    """What we make, by DDIM if nothing else is said, (B, 3, H, W) in [-1, 1]."""
    with torch.inference_mode():
        return model.codec.decode(last(model.generate(GenerateRequest(**{"sampler": "ddim"} | request))).latent).clamp(
            -1, 1
        )


# Beside diffusers


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


# Classes


def conditional(folder: Path, **index: Any) -> tuple[DDIMPipeline, LatentDiffusion]:
    """A pipeline whose network has four numbers for classes."""
    pipeline = DDIMPipeline(unet(num_class_embeds=4), ddim(prediction_type="v_prediction"))
    return pipeline, saved(pipeline, folder, **index)


def stepped(pipeline: Any, seed: int, label: int, guidance: float = 1, none: int = 3) -> Tensor:
    """Their loop with classes, for which they have no pipeline: pixels or latents (1, C, 16, 16)."""
    shape = (1, pipeline.unet.config.in_channels, SIDE, SIDE)
    image = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    pipeline.scheduler.set_timesteps(5)
    with torch.inference_mode():
        for t in pipeline.scheduler.timesteps:
            conditional, unconditional = (
                pipeline.unet(image, t, torch.tensor([number])).sample for number in (label, none)
            )
            image = pipeline.scheduler.step(
                unconditional + guidance * (conditional - unconditional), t, image
            ).prev_sample
    return image


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


# What else can be done with them


@pytest.fixture(params=["pixels", "grey pixels", "latents"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A pipeline of each kind, on disk."""
    networks = {
        "pixels": lambda: DDPMPipeline(unet(), DDPMScheduler(num_train_timesteps=STATES)),
        "grey pixels": lambda: DDPMPipeline(unet(1), DDPMScheduler(num_train_timesteps=STATES)),
        "latents": lambda: LDMPipeline(autoencoder(), unet(2), ddim()),
    }
    networks[request.param]().save_pretrained(tmp_path / "shelf" / "theirs")
    return tmp_path / "shelf" / "theirs"


def test_a_grey_network_makes_grey_pictures(tmp_path: Path) -> None:
    pipeline = DDIMPipeline(unet(1), ddim())
    made = ours(saved(pipeline, tmp_path), seed=3, steps=5)
    torch.testing.assert_close(made, theirs(pipeline, 3).expand(-1, 3, -1, -1), **CLOSE)


def test_inpainting_keeps_every_unpainted_bit(folder: Path) -> None:
    model = LatentDiffusion.load(folder, "cpu")
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    painted = np.zeros((50, 70), dtype=bool)
    painted[15:35, 20:50] = True
    request = InpaintRequest(steps=3)
    frame = model.frame(request, Image.fromarray(pixels), painted)
    result = np.asarray(
        frame.paste(model.pictures(last(model.inpaint(request, frame.image(), frame.mask())).latent)[0])
    )
    assert np.array_equal(result[~painted], pixels[~painted])
    assert (result[painted] != pixels[painted]).any(1).mean() > 0.9


def test_editing_stays_the_closer_to_a_picture_the_weaker_it_is(folder: Path) -> None:
    model = LatentDiffusion.load(folder, "cpu")
    image = torch.rand(1, 3, model.size, model.size) * 2 - 1
    anchor = model.codec.encode(image)
    weak, strong = (
        (last(model.edit(EditRequest(steps=20, strength=strength), image)).latent - anchor).square().mean()
        for strength in (0.05, 1)
    )
    assert weak < 0.2 * strong


def test_commands_take_a_folder_of_theirs_as_any_checkpoint(
    call, folder: Path, picture_folder: Path, tmp_path: Path
) -> None:
    assert folders.list_checkpoints(folder.parent) == ["theirs"]
    common = ["--checkpoint", folder, "--steps", 2]
    assert call(sample.main, *common, "--out", tmp_path / "made").status == 0
    assert read_parameters(tmp_path / "made" / "0.png")["checkpoint"] == "theirs"
    photo = next(picture_folder.iterdir())
    assert call(edit.main, photo, *common, "--out", tmp_path / "edited.png").status == 0
    report = tmp_path / "measures.json"
    arguments = ["--checkpoint", folder, "--data", picture_folder, "--samples", 2, "--fills", 1, "--json", report]
    outcome = call(evaluate.main, *arguments)
    assert outcome.status == 0, outcome.err
    measures = json.loads(report.read_text())
    assert measures["kept_max_diff"] == 0
    assert len(measures["denoising_loss"]) == 10


@pytest.fixture
def kinds(tmp_path: Path) -> Path:
    """Eight shades of each of four classes, called by their numbers."""
    for number in range(32):
        folder = tmp_path / "kinds" / ("val" if number % 8 == 0 else "train") / str(number // 8)
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (SIDE, SIDE), (8 * number, 90, 9)).save(folder / f"{number}.png")
    return tmp_path / "kinds"


def test_evaluating_tells_classes_if_there_is_a_null_class(
    call, kinds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("train", "val"):
        shutil.rmtree(kinds / part / "3")
    conditional(tmp_path / "theirs", id2label={"0": "0", "1": "1", "2": "2"})
    monkeypatch.setattr(measuring, "classifier_of", lambda model, found: Classifier(len(model.classes)).eval())
    report = tmp_path / "measures.json"
    arguments = ["--checkpoint", tmp_path / "theirs", "--data", kinds, "--json", report, "--device", "cpu"]
    outcome = call(evaluate.main, *arguments, "--samples", 3, "--fills", 1)
    assert outcome.status == 0, outcome.err
    measures = json.loads(report.read_text())
    assert (measures["class_samples"], measures["samples"], len(measures["denoising_loss"])) == (3, 3, 10)
    assert 0 <= measures["class_accuracy"] <= 1


def test_evaluating_without_a_null_class_is_refused_before_anything_is_trained(
    call, kinds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conditional(tmp_path / "theirs")
    monkeypatch.setattr(evaluate, "find", lambda *_: pytest.fail("looked at the pictures"))
    monkeypatch.setattr(measuring, "classifier_of", lambda *_: pytest.fail("trained a classifier"))
    outcome = call(evaluate.main, "--checkpoint", tmp_path / "theirs", "--data", kinds, "--device", "cpu")
    assert_refused(outcome, "theirs always wants a class and cannot be measured")


# What cannot be used


def refusal(folder: Path) -> str:
    """What loading the folder says; it has to be one sentence."""
    with pytest.raises(CheckpointError) as caught:
        LatentDiffusion.load(folder, "cpu")
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert len(sentence) < 600
    return sentence


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A latent pipeline that the test may spoil."""
    LDMPipeline(autoencoder(), unet(2), ddim()).save_pretrained(tmp_path / "own")
    return tmp_path / "own"


def rewrite(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("unet/diffusion_pytorch_model.safetensors", "unet has no weights in safetensors"),
        ("vqvae", "vqvae has no weights in safetensors"),
        ("unet/config.json", "unet cannot be loaded as UNet2DModel"),
        ("scheduler/scheduler_config.json", "scheduler_config.json is missing"),
    ],
)
def test_a_missing_part_is_named(own: Path, missing: str, words: str) -> None:
    path = own / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert words in refusal(own)


def test_pickled_weights_are_not_read(own: Path) -> None:
    (own / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    torch.save(unet(2).state_dict(), own / "unet" / "diffusion_pytorch_model.bin")
    assert "safe_serialization=True" in refusal(own)


def test_damaged_weights_are_named(own: Path) -> None:
    path = own / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    assert "unet cannot be loaded" in refusal(own)


def test_weights_that_leave_something_to_chance_are_refused(own: Path) -> None:
    rewrite(own / "unet" / "config.json", layers_per_block=2)
    assert "unet" in refusal(own)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"unet": ["diffusers", "UNet2DConditionModel"]}, "has UNet2DConditionModel for its unet; only UNet2DModel"),
        ({"unet": [None, None]}, "has nothing for its unet"),
        ({"vqvae": ["diffusers", "AutoencoderTiny"]}, "only AutoencoderKL and VQModel"),
        ({"vqvae": [None, None]}, "other latents"),
        ({"scheduler": ["diffusers", "UNet2DModel"]}, "names no scheduler"),
    ],
)
def test_parts_of_other_kinds_are_refused(own: Path, changes: dict[str, Any], words: str) -> None:
    rewrite(own / diffusers_format.PIPELINE, **changes)
    assert words in refusal(own)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"beta_schedule": "laplace"}, "laplace"),
        ({"beta_schedule": None}, "scheduler_config.json cannot be used"),
        ({"prediction_type": "flow"}, "prediction_type 'flow'; choose from: epsilon, sample, v_prediction"),
        ({"thresholding": True}, "asks for thresholding"),
        ({"rescale_betas_zero_snr": True}, "asks for rescale_betas_zero_snr"),
        ({"trained_betas": [0.1] * STATES}, "asks for trained_betas"),
        ({"beta_end": 2.0}, "betas must lie between 0 and 1"),
        ({"num_train_timesteps": "many"}, "scheduler_config.json cannot be used"),
    ],
)
def test_what_a_scheduler_asks_for_is_done_or_refused(own: Path, changes: dict[str, Any], words: str) -> None:
    rewrite(own / "scheduler" / "scheduler_config.json", **changes)
    assert words in refusal(own)


def test_a_scheduler_without_betas_is_refused(own: Path) -> None:
    shutil.rmtree(own / "scheduler")
    FlowMatchEulerDiscreteScheduler().save_pretrained(own / "scheduler")
    rewrite(own / diffusers_format.PIPELINE, scheduler=["diffusers", "FlowMatchEulerDiscreteScheduler"])
    assert "the beta_schedule None" in refusal(own)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sample_size": None}, "sample_size None"),
        ({"sample_size": (16, 32)}, "a square is needed"),
        ({"class_embed_type": "identity"}, "classes as 'identity'"),
        ({"out_channels": 6}, "other latents"),
    ],
)
def test_networks_that_do_not_suit_are_refused(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    DDPMPipeline(unet(**settings), DDPMScheduler(num_train_timesteps=STATES)).save_pretrained(tmp_path)
    assert words in refusal(tmp_path)


def test_class_names_that_do_not_fit_the_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="names 2 classes, but its UNet was trained with 4"):
        conditional(tmp_path, id2label={"0": "ant", "1": "bee"})


def test_an_autoencoder_of_grey_pictures_is_refused(tmp_path: Path) -> None:
    LDMPipeline(autoencoder(in_channels=1, out_channels=1), unet(2), ddim()).save_pretrained(tmp_path)
    assert "RGB" in refusal(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", ""])
def test_a_list_of_parts_that_cannot_be_read_is_named(own: Path, text: str) -> None:
    (own / diffusers_format.PIPELINE).write_text(text)
    assert diffusers_format.PIPELINE in refusal(own)


def test_without_diffusers_it_says_what_to_install(own: Path, monkeypatch: pytest.MonkeyPatch, call) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    assert "pip install diffusers" in refusal(own)
    assert_refused(call(sample.main, "--checkpoint", own, "--out", own / "made"), "pip install diffusers")


def test_an_unfinished_folder_is_not_listed(own: Path) -> None:
    assert folders.list_checkpoints(own.parent) == ["own"]
    (own / "scheduler" / "scheduler_config.json").unlink()
    assert folders.list_checkpoints(own.parent) == []


# Where the files are


def flattened(folder: Path) -> Path:
    """The folder as the DDPMs that were published first have it: UNet and scheduler beside the list of parts."""
    for part in ("unet", "scheduler"):
        for file in (folder / part).iterdir():
            file.rename(folder / file.name)
        (folder / part).rmdir()
    return folder


def test_a_unet_beside_the_list_of_parts_is_the_same_as_in_a_folder_of_its_own(tmp_path: Path) -> None:
    pipeline = DDPMPipeline(unet(), DDPMScheduler(num_train_timesteps=STATES))
    request = {"steps": 4, "seed": 3}
    expected = ours(saved(pipeline, tmp_path / "plain"), **request)
    flat = flattened(tmp_path / "plain")
    assert folders.list_checkpoints(tmp_path) == ["plain"]
    assert flat / "diffusion_pytorch_model.safetensors" in folders.files(flat)
    assert torch.equal(ours(LatentDiffusion.load(flat, "cpu"), **request), expected)
    assert isinstance(DiffusionPipeline.from_pretrained(flat), DDPMPipeline)  # so do they read it


@pytest.mark.parametrize("missing", ["config.json", "scheduler_config.json", "diffusion_pytorch_model.safetensors"])
def test_what_such_a_folder_lacks_is_named_and_it_is_not_listed_without_what_it_says_of_its_parts(
    tmp_path: Path, missing: str
) -> None:
    DDPMPipeline(unet(), DDPMScheduler(num_train_timesteps=STATES)).save_pretrained(tmp_path / "flat")
    (flattened(tmp_path / "flat") / missing).unlink()
    assert folders.list_checkpoints(tmp_path) == (["flat"] if missing.endswith("safetensors") else [])
    assert str(tmp_path / "flat") in refusal(tmp_path / "flat")


def test_a_size_that_is_no_square_is_named_with_the_file_that_says_so(tmp_path: Path) -> None:
    DDPMPipeline(unet(), DDPMScheduler(num_train_timesteps=STATES)).save_pretrained(tmp_path)
    rewrite(flattened(tmp_path) / "config.json", sample_size=[16, 8])
    assert f"{tmp_path / 'config.json'} has the sample_size" in refusal(tmp_path)


@pytest.mark.parametrize("flat", [False, True], ids=["in folders", "flat"])
@pytest.mark.parametrize("size", ["5GB", "20KB"], ids=["whole", "in shards"])
def test_weights_that_are_there_as_a_variant_alone_are_read(tmp_path: Path, flat: bool, size: str) -> None:
    pipeline = DDPMPipeline(unet().half(), DDPMScheduler(num_train_timesteps=STATES))
    plain = saved(pipeline, tmp_path / "plain")
    pipeline.save_pretrained(tmp_path / "half", variant="fp16", max_shard_size=size)
    files = list((tmp_path / "half" / "unet").glob("*.safetensors"))
    assert all("fp16" in file.name for file in files)
    assert (len(files) > 1) == (size == "20KB")
    half = LatentDiffusion.load(flattened(tmp_path / "half") if flat else tmp_path / "half", "cpu")
    assert {parameter.dtype for parameter in half.denoiser.parameters()} == {torch.float32}
    assert torch.equal(ours(half, steps=3, seed=1), ours(plain, steps=3, seed=1))
    assert folders.list_checkpoints(tmp_path) == ["half", "plain"]


def test_weights_in_full_come_before_a_variant_of_them(tmp_path: Path) -> None:
    pipeline = DDPMPipeline(unet(), DDPMScheduler(num_train_timesteps=STATES))
    expected = ours(saved(pipeline, tmp_path), steps=3, seed=1)
    pipeline.unet.half().save_pretrained(tmp_path / "unet", variant="fp16")
    assert torch.equal(ours(LatentDiffusion.load(tmp_path, "cpu"), steps=3, seed=1), expected)


def test_an_autoencoder_is_not_looked_for_where_the_unet_lies(own: Path) -> None:
    shutil.rmtree(own / "vqvae", ignore_errors=True)
    shutil.rmtree(own / "vae", ignore_errors=True)
    flattened(own)
    assert f"{own / 'vqvae'} has no weights" in refusal(own)
