"""Eyes are found where faces have them, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ddpm_core.data.load import PictureSet
from ddpm_core.evaluation.eyes import eyes_found
from ddpm_core.images.faces import EYE_LINE, EYES_ACROSS

FACES = Path(__file__).resolve().parents[2] / "static" / "examples"


def pictures(*tensors: Tensor) -> PictureSet:
    return PictureSet(torch.stack(tensors), [])


@pytest.fixture(scope="module")
def face() -> Tensor:
    """An example picture, uint8 (3, 128, 128), in which both eyes are found."""
    for file in sorted(FACES.glob("face-*.png")):
        pixels = np.asarray(Image.open(file).convert("RGB").resize((128, 128)))
        if eyes_found(pictures(torch.from_numpy(pixels.copy()).permute(2, 0, 1))) == 1:
            return torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    pytest.fail("in none of the examples are eyes found")


def without(face: Tensor, *eyes: float) -> Tensor:
    """The face with eyes at these places painted over in the colour of what is beside them."""
    blind, row = face.clone(), round(EYE_LINE * 128)
    for across in eyes:
        column = round(across * 128)
        blind[:, row - 14 : row + 14, column - 14 : column + 14] = face[:, row + 18, column, None, None]
    return blind


def test_a_face_has_both_and_one_without_either_has_not(face: Tensor) -> None:
    left, right = EYES_ACROSS
    assert eyes_found(pictures(face)) == 1
    for blind in (without(face, left), without(face, right), without(face, left, right)):
        assert eyes_found(pictures(blind)) == 0


def test_eyes_elsewhere_than_faces_have_them_do_not_count(face: Tensor) -> None:
    assert eyes_found(pictures(face.roll(32, 1), face.roll(40, 2), face.roll(-32, 1))) == 0


def test_what_is_no_face_has_none() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (3, 128, 128), generator=generator).to(torch.uint8)
    assert eyes_found(pictures(noise, torch.full_like(noise, 128))) == 0


def test_the_fraction_is_of_all_pictures_and_their_size_does_not_matter(face: Tensor) -> None:
    grey = torch.full_like(face, 90)
    assert eyes_found(pictures(face, grey, face, grey)) == 0.5
    large = torch.nn.functional.interpolate(face[None].float(), size=256, mode="bilinear")[0].to(torch.uint8)
    assert eyes_found(pictures(large)) == 1
