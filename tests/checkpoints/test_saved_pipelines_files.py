"""Where the files of a folder that diffusers saved may lie, and what lists it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from diffusers import (
    DDPMPipeline,
    DDPMScheduler,
    DiffusionPipeline,
)

from ddpm_core.checkpoints import folders
from ddpm_core.pipeline import LatentDiffusion
from tests.checkpoints.saved_pipelines import (
    flattened,
    ours,
    refusal,
    rewrite,
    saved,
)
from tests.tiny_pipelines import STATES, unet

pytestmark = pytest.mark.usefixtures("in_full_precision")


def test_an_unfinished_folder_is_not_listed(own: Path) -> None:
    assert folders.list_checkpoints(own.parent) == ["own"]
    (own / "scheduler" / "scheduler_config.json").unlink()
    assert folders.list_checkpoints(own.parent) == []


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
