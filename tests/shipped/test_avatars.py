"""The shipped avatars: small, drawn, and made as a prompt asks for."""

from __future__ import annotations

import pytest
import torch

from ddpm_core.diffusion.samplers import last
from ddpm_core.networks.vae import VAE
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest
from tests.shipped_pictures import CHECKPOINTS

FOLDER = CHECKPOINTS / "avatars"
ASKED = "big smile: pink mohawk, dark skin, cat ears, blue background"  # the README's


@pytest.fixture(scope="module")
def avatars() -> LatentDiffusion:
    """The shipped checkpoint."""
    return LatentDiffusion.load(FOLDER, "cpu")


def pictures(model: LatentDiffusion, prompt: str, count: int = 4) -> torch.Tensor:
    """(count, 3, S, S) in 0 (black) to 1."""
    request = model.request(GenerateRequest, prompt=prompt, count=count, steps=8)
    return (model.codec.decode(last(model.generate(request)).latent).clamp(-1, 1) + 1) / 2


def test_it_is_a_small_checkpoint_of_latents_that_knows_words_and_styles(avatars: LatentDiffusion) -> None:
    assert isinstance(avatars.codec, VAE)
    assert avatars.classes == ("bigSmile", "micah", "openPeeps", "personas", "toonHead")
    assert avatars.unconditional
    assert avatars.framing == "any"
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) <= 20e6
    for prompt in (ASKED, *avatars.prompts):
        assert avatars.unknown_words(prompt) == []
    assert avatars.unknown_words("zeppelin with pink hair") == ["zeppelin"]
    assert avatars.prompts


def test_its_backgrounds_are_of_the_colour_asked_for(avatars: LatentDiffusion) -> None:
    corner = {
        colour: pictures(avatars, f"big smile: brown curly, light skin, {colour} background")[:, :, :6, :6].mean((2, 3))
        for colour in ("blue", "peach")
    }  # (4, 3) each
    blue, peach = corner["blue"], corner["peach"]
    assert (blue[:, 2] > blue[:, 0] + 0.05).all()
    assert (peach[:, 0] > peach[:, 2] + 0.05).all()
