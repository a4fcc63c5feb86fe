"""The shipped digits: small, whole, and asked for by class."""

from __future__ import annotations

import pytest
import torch

from benchmarks.digit_reader import reader
from ddpm_core.networks.codec import PixelCodec
from ddpm_core.pipeline import LatentDiffusion
from tests.shipped_pictures import CHECKPOINTS, made

FOLDER = CHECKPOINTS / "digits"


@pytest.fixture(scope="module")
def digits() -> LatentDiffusion:
    """The shipped checkpoint."""
    return LatentDiffusion.load(FOLDER, "cpu")


def test_it_is_a_small_checkpoint_of_pixels_with_ten_classes(digits: LatentDiffusion) -> None:
    assert isinstance(digits.codec, PixelCodec)
    assert digits.classes == tuple("0123456789")
    assert digits.size == 32
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 15e6


def test_its_pictures_are_white_strokes_on_black_and_differ_by_class(digits: LatentDiffusion) -> None:
    one, eight = made(digits, "1", 8, 10), made(digits, "8", 8, 10)
    for image in (one, eight):
        assert image[:, :, :2].mean() < 0.05  # the border is empty
        assert image.flatten(1).amax(1).min() > 0.9
        assert (image[:, 0] - image[:, 1]).abs().mean() < 0.02  # and grey
    assert one.mean() < 0.7 * eight.mean()  # a one takes least ink
    middle = [torch.stack([image.mean(1)[:, row].mean() for row in (10, 16, 21)]) for image in (one, eight)]
    assert not torch.allclose(*middle, atol=0.02)


def test_what_is_requested_is_what_is_read(digits: LatentDiffusion) -> None:
    """The aim on the card, on few pictures; `evaluate` measures a thousand, by a classifier that it trains."""
    classifier, each = reader(), 4
    images = torch.cat([made(digits, label, each, 20) for label in digits.classes])
    read = classifier(2 * images - 1).argmax(1)
    asked = torch.arange(len(digits.classes)).repeat_interleave(each)
    assert (read == asked).double().mean() >= 0.97
