"""The shipped emoji: a small latent checkpoint with classes, on white."""

from __future__ import annotations

import pytest
import torch

from ddpm_core.networks.vae import VAE
from ddpm_core.pipeline import LatentDiffusion
from tests.shipped_pictures import CHECKPOINTS, made

FOLDER = CHECKPOINTS / "emoji"


@pytest.fixture(scope="module")
def emoji() -> LatentDiffusion:
    """The shipped checkpoint."""
    return LatentDiffusion.load(FOLDER, "cpu")


def test_it_is_a_small_checkpoint_of_latents_with_nine_classes(emoji: LatentDiffusion) -> None:
    assert isinstance(emoji.codec, VAE)
    assert len(emoji.classes) == 9
    assert emoji.unconditional
    assert emoji.framing == "any"
    assert not emoji.hybrids
    assert "negated" not in emoji.views  # minus a learned latent is no picture's negative
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 15e6


def test_its_pictures_are_coloured_things_on_white_and_differ_by_class(emoji: LatentDiffusion) -> None:
    plants, signs = made(emoji, "Animals & Nature", 4, 8), made(emoji, "Symbols", 4, 8)
    for image in (plants, signs):
        corners = torch.cat([image[:, :, at][..., at] for at in (slice(0, 4), slice(-4, None))])
        assert corners.mean() > 0.95
        assert image.mean((1, 2, 3)).max() < 0.97  # something is on each
        assert (image.amax(1) - image.amin(1)).flatten(1).amax(1).mean() > 0.4  # in colour
    assert (plants - signs).abs().mean() > 0.05
