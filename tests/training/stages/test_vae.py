"""The first stage: what it makes of latents, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.training.pictures import Pictures
from tests.training.small_runs import request_for, run_all


def test_the_statistics_of_the_latents_are_those_of_the_training_pictures(trained: Path, pictures: Pictures) -> None:
    latents = checkpoint.load_vae(trained).encode(pictures.train.batch(torch.arange(10)))
    torch.testing.assert_close(latents.mean((0, 2, 3)), torch.zeros(4), rtol=0, atol=0.01)
    torch.testing.assert_close(latents.std((0, 2, 3)), torch.ones(4), rtol=0.01, atol=0)


def test_pictures_the_stride_does_not_divide_are_refused(tmp_path: Path, pictures: Pictures) -> None:
    with pytest.raises(CheckpointError, match="stride"):
        run_all("vae", request_for(tmp_path / "run", size=18), pictures)


def test_a_decoder_trained_alone_leaves_every_latent_as_it_was(
    tmp_path: Path, pictures: Pictures, trained: Path
) -> None:
    vae = request_for(tmp_path).vae.model_copy(update={"learns": "decoder"})
    whole, broken = (request_for(tmp_path / name, init=trained, vae=vae) for name in ("whole", "broken"))
    run_all("vae", whole, pictures)
    run_all("vae", broken, pictures, until=3)
    run_all("vae", broken.model_copy(update={"resume": True}), pictures)
    before, after, again = (checkpoint.load_vae(folder) for folder in (trained, whole.out, broken.out))
    image = pictures.train.batch(torch.arange(4))
    assert torch.equal(before.encode(image), after.encode(image))
    latent = torch.randn(1, 4, 4, 4)
    assert not torch.equal(before.decode(latent), after.decode(latent))
    assert torch.equal(after.decode(latent), again.decode(latent))


def test_a_decoder_alone_needs_an_encoder_to_start_from(tmp_path: Path, pictures: Pictures) -> None:
    vae = request_for(tmp_path).vae.model_copy(update={"learns": "decoder"})
    with pytest.raises(CheckpointError, match="--init"):
        run_all("vae", request_for(tmp_path / "out", vae=vae), pictures)


def test_a_start_that_is_not_there_or_does_not_fit_is_refused_by_name(
    tmp_path: Path, pictures: Pictures, trained: Path
) -> None:
    with pytest.raises(CheckpointError, match="nowhere"):
        run_all("vae", request_for(tmp_path / "a", init=tmp_path / "nowhere"), pictures)
    wider = request_for(tmp_path).vae.model_copy(update={"full_width": 16})
    with pytest.raises(CheckpointError, match=r"vae\.safetensors does not match"):
        run_all("vae", request_for(tmp_path / "b", init=trained, vae=wider), pictures)
