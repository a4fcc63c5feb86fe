"""Folders that diffusers saved and that cannot be used: each is refused in a sentence that names what is wrong."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    DDPMPipeline,
    DDPMScheduler,
    FlowMatchEulerDiscreteScheduler,
    LDMPipeline,
)

from ddpm_core.checkpoints import diffusers_format
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.commands import sample
from tests.checkpoints.saved_pipelines import (
    conditional,
    refusal,
    rewrite,
)
from tests.command_lines import assert_refused
from tests.tiny_pipelines import STATES, autoencoder, ddim, unet

pytestmark = pytest.mark.usefixtures("in_full_precision")


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
    assert f"{path} is damaged" in refusal(own)


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
