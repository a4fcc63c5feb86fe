"""Pictures to measure are those that the commands make."""

from __future__ import annotations

import torch

from ddpm_core.diffusion.samplers import last
from ddpm_core.evaluation.samples import BATCH, sample, sample_captions, sample_classes
from ddpm_core.images.files import to_bytes
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest

QUICK = GenerateRequest(steps=2)


def test_each_picture_is_that_of_its_seed_whatever_it_is_made_beside(tiny_model: LatentDiffusion) -> None:
    made = sample(tiny_model, BATCH + 2, 5, QUICK)
    assert made.pixels.shape == (BATCH + 2, 3, 32, 32)
    for place in (0, BATCH - 1, BATCH + 1):
        request = QUICK.model_copy(update={"seed": 5 + place})
        with torch.inference_mode():
            expected = to_bytes(tiny_model.codec.decode(last(tiny_model.generate(request)).latent))[0]
        off = made.pixels[place].permute(1, 2, 0).int() - torch.from_numpy(expected).int()
        assert off.abs().max() <= 1


def test_classes_have_equally_many_pictures_of_seeds_of_their_own(class_model: LatentDiffusion) -> None:
    made = sample_classes(class_model, 4, 0, QUICK)
    assert made.labels is not None
    assert made.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert len({tuple(pixels.flatten().tolist()) for pixels in made.pixels}) == 6
    alone = sample(class_model, 2, 2, QUICK.model_copy(update={"label": "ant"}))
    assert torch.equal(alone.pixels, made.pixels[2:4])


def test_each_caption_has_a_picture_of_a_seed_of_its_own(word_model: LatentDiffusion) -> None:
    request = GenerateRequest(steps=2, guidance=3)
    made = sample_captions(word_model, ["red ant", "blue skin"], seed=4, request=request)
    second = GenerateRequest(steps=2, guidance=3, seed=5, prompt="blue skin")
    alone = torch.from_numpy(to_bytes(word_model.codec.decode(last(word_model.generate(second)).latent).detach()))
    assert len(made) == 2
    assert (made.pixels[1:].int() - alone.permute(0, 3, 1, 2).int()).abs().max() <= 1
