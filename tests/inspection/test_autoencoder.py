"""Through the autoencoder and back: what is shown is what the codec does, and decibels are decibels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from ddpm_core.inspection.autoencoder import difference_picture, psnr, round_trip
from ddpm_core.inspection.subject import subject_of_seed
from ddpm_core.pipeline import LatentDiffusion


def test_the_reconstruction_is_the_codecs(tiny_model: LatentDiffusion) -> None:
    subject = subject_of_seed(tiny_model, 3)
    made = round_trip(tiny_model, subject)
    (expected,) = tiny_model.pictures(tiny_model.codec.encode(subject.image))
    assert np.array_equal(np.asarray(made.reconstruction), np.asarray(expected))
    a, b = (np.asarray(one).astype(float) for one in (subject.picture, expected))
    assert made.psnr == pytest.approx(10 * math.log10(255**2 / ((a - b) ** 2).mean()))
    assert (made.pixels, made.values) == (3 * 32 * 32, subject.latent.numel())
    assert round_trip(tiny_model, subject) is made


def test_a_difference_is_shown_larger_about_the_middle() -> None:
    first, second = Image.new("RGB", (1, 1), (100, 100, 0)), Image.new("RGB", (1, 1), (100, 104, 255))
    assert difference_picture(first, second).getpixel((0, 0)) == (128, 128 + 16, 255)
    assert psnr(first, first) == math.inf
