"""The first stage: what it makes of latents, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.data.load import PictureSet
from ddpm_core.training.pictures import Pictures
from ddpm_core.training.reconstruction import reconstruction
from ddpm_core.training.record.card import card
from ddpm_core.training.record.journal import rows_of
from ddpm_core.training.stages import run, vae
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


def test_of_many_held_out_pictures_some_are_measured_always_the_same_and_the_record_says_so(
    tmp_path: Path, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (run, vae):
        monkeypatch.setattr(module, "MEASURED", 3)
    assert pictures.held_out is not None
    assert vae.measured_of(pictures.held_out) is pictures.held_out  # there are no more than two
    many = Pictures(pictures.train, PictureSet(pictures.train.pixels[:7], []), 10)
    request = request_for(tmp_path / "run", vae=request_for(tmp_path).vae.model_copy(update={"iterations": 2}))
    run_all("vae", request, many)
    (row,) = (row for row in rows_of(request.out / "training" / "vae.jsonl") if "held_out_psnr" in row)
    some = PictureSet(pictures.train.pixels[[0, 2, 4]], [])
    trained_vae = checkpoint.load_vae(request.out)
    assert row["held_out_psnr"] == pytest.approx(reconstruction(trained_vae, some).psnr, abs=0.05)  # in half precision
    text = card(request.out, "samples.png")
    assert "On 7 held-out pictures, which were never learned from, as the run recorded it; " in text
    assert "the autoencoder on 3 of them, always the same:" in text
