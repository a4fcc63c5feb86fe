"""Pictures as an enlarging model is given them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_core.images.files import to_pictures, to_tensor
from ddpm_core.images.low_resolution import enlarged_bicubically, low_resolution, reduced


@pytest.fixture
def picture() -> Image.Image:
    pixels = np.random.default_rng(0).integers(60, 200, (8, 12, 3)).astype(np.uint8)
    return Image.fromarray(np.kron(pixels, np.ones((4, 4, 1))).astype(np.uint8))


@pytest.mark.parametrize("factor", [2, 4])
def test_both_ways_are_bicubic_as_pillow_has_it(picture: Image.Image, factor: int) -> None:
    width, height = picture.size
    small = picture.resize((width // factor, height // factor), Image.Resampling.BICUBIC)
    ours = to_pictures(reduced(to_tensor(picture), factor))[0]
    assert np.abs(np.asarray(ours).astype(int) - np.asarray(small)).max() <= 1
    large = to_pictures(enlarged_bicubically(to_tensor(small), factor))[0]
    assert np.abs(np.asarray(large).astype(int) - small.resize(picture.size, Image.Resampling.BICUBIC)).max() <= 1


def test_what_training_shows_is_what_comes_of_a_saved_small_picture(picture: Image.Image) -> None:
    image = to_tensor(picture)
    saved = to_tensor(to_pictures(reduced(image, 2))[0])  # through 8 bits
    assert torch.equal(low_resolution(image, 2), enlarged_bicubically(saved, 2))
    assert low_resolution(image, 2).shape == image.shape
