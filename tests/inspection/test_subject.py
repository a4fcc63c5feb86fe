"""The picture looked into: of a seed, of a file, as the model sees it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_core.diffusion.samplers import last
from ddpm_core.errors import UserError
from ddpm_core.images.files import PictureError, to_tensor
from ddpm_core.inspection.subject import channels, check_state, decoded, subject_of_file, subject_of_seed
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest


def test_a_seed_stands_for_the_picture_it_makes(tiny_model: LatentDiffusion) -> None:
    subject = subject_of_seed(tiny_model, 3)
    (made,) = tiny_model.pictures(last(tiny_model.generate(GenerateRequest(seed=3))).latent)
    assert np.array_equal(np.asarray(subject.picture), np.asarray(made))
    assert torch.equal(subject.image, to_tensor(made))
    assert torch.equal(subject.latent, tiny_model.codec.encode(subject.image))
    assert subject_of_seed(tiny_model, 3) is subject


def test_a_file_is_read_anew_when_it_changes(tiny_model: LatentDiffusion, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.new("RGB", (50, 40), "teal").save(path)
    first = subject_of_file(tiny_model, path)
    assert first.picture.size == (32, 32)
    assert subject_of_file(tiny_model, str(path)) is first
    Image.effect_noise((60, 40), 60).convert("RGB").save(path)
    assert subject_of_file(tiny_model, path) is not first
    with pytest.raises(PictureError, match="does not exist"):
        subject_of_file(tiny_model, tmp_path / "nosuch.png")


def test_a_state_that_is_not_there_is_refused(tiny_model: LatentDiffusion) -> None:
    check_state(tiny_model, 999)
    with pytest.raises(UserError, match="at most 999"):
        check_state(tiny_model, 1000)


def test_latents_as_pictures(tiny_model: LatentDiffusion) -> None:
    latent = subject_of_seed(tiny_model, 3).latent
    assert np.array_equal(*(np.asarray(made[0]) for made in (decoded(tiny_model, latent), tiny_model.pictures(latent))))
    shown = channels(torch.tensor([[[[-3.0, 0.0]], [[3.0, 9.0]]]]))
    assert [np.asarray(one)[0, :, 0].tolist() for one in shown] == [[0, 128], [255, 255]]
