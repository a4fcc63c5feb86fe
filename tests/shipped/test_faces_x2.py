"""The shipped model that enlarges faces: small, and nearer to the original in detail than a smooth picture is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_core.checkpoints.folders import enlarging_beside
from ddpm_core.diffusion.samplers import last
from ddpm_core.images.low_resolution import enlarged_bicubically
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import EnlargeRequest
from ddpm_core.training.reconstruction import gradient_magnitude
from tests.shipped_pictures import CHECKPOINTS
from ui import examples

FOLDER = CHECKPOINTS / "faces-x2"


@pytest.fixture(scope="module")
def larger() -> LatentDiffusion:
    """The shipped checkpoint."""
    return LatentDiffusion.load(FOLDER, "cpu")


def test_it_is_small_knows_faces_and_is_what_enlarges_those_of_the_shipped_model(larger: LatentDiffusion) -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) <= 20e6
    assert (larger.framing, larger.size, larger.enlarging.factor) == ("face", 256, 2)
    assert enlarging_beside(CHECKPOINTS / "faces-128") == FOLDER
    assert enlarging_beside(CHECKPOINTS / "avatars") is None
    assert enlarging_beside(CHECKPOINTS / "digits") is None


def test_a_face_gets_detail_and_stays_who_it_is(larger: LatentDiffusion) -> None:
    face = Image.open(examples.faces()[0]).convert("RGB")
    sheet = larger.enlargement(face)
    steps = larger.enlarge(larger.request(EnlargeRequest, seed=1), sheet.image())
    made = larger.codec.decode(last(steps).latent).clamp(-1, 1)  # (1, 3, 256, 256)
    smooth = enlarged_bicubically(sheet.image(), 2)
    assert gradient_magnitude(made).mean() > 1.2 * gradient_magnitude(smooth).mean()
    small = np.asarray(larger.enlarged([face], 1)[0].resize(face.size), dtype=int)
    assert np.abs(small - np.asarray(face, dtype=int)).mean() < 4  # of 255; another face is more than thirty away
    assert torch.nn.functional.l1_loss(made, smooth) < 0.06
