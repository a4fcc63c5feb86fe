"""Pictures made anew from noised versions of themselves: how far from them the noise leads."""

from __future__ import annotations

import pytest
import torch

from ddpm_core.diffusion.samplers import SAMPLERS, last
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import EditRequest, GenerateRequest


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_an_edit_starts_from_the_noised_picture_and_takes_its_fraction_of_the_steps(
    tiny_model: LatentDiffusion, sampler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, seen = torch.rand(1, 3, 32, 32) * 2 - 1, []
    predict = tiny_model.predict
    monkeypatch.setattr(tiny_model, "predict", lambda z, t: seen.append((t, z)) or predict(z, t))
    request = EditRequest(seed=4, count=2, steps=10, strength=0.4, sampler=sampler)
    steps = list(tiny_model.edit(request, image))
    timesteps = tiny_model.diffuser.spaced_timesteps(10)
    assert [step.t for step in steps] == timesteps[-4:]
    assert len(steps) == request.calls

    noise = torch.stack([torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in (4, 5)])
    anchor = tiny_model.codec.encode(image).expand(2, -1, -1, -1)
    start = tiny_model.diffuser.add_noise(anchor, noise, torch.full((2,), timesteps[-5]))
    torch.testing.assert_close(seen[0][1], start)
    assert seen[0][0].tolist() == [timesteps[-5]] * 2


def test_the_weaker_an_edit_the_closer_it_stays_to_the_picture(tiny_model: LatentDiffusion) -> None:
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    anchor = tiny_model.codec.encode(image)
    made = [
        last(tiny_model.edit(EditRequest(steps=20, strength=strength), image)).latent for strength in (0.05, 0.5, 1)
    ]
    distances = [(latent - anchor).square().mean().item() for latent in made]
    assert distances == sorted(distances)
    assert distances[0] < 0.2 * distances[-1]


def test_an_edit_of_all_steps_knows_next_to_nothing_of_the_picture(tiny_model: LatentDiffusion) -> None:
    request = EditRequest(seed=3, steps=5, strength=1)
    one, other = (
        last(tiny_model.edit(request, image)).latent for image in (torch.zeros(1, 3, 32, 32), torch.ones(1, 3, 32, 32))
    )
    plain = last(tiny_model.generate(GenerateRequest(seed=3, steps=5))).latent
    assert (one - other).abs().mean() < 0.05 * plain.std()
    assert (one - plain).abs().mean() < 0.05 * plain.std()
