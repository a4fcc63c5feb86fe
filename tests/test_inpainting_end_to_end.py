"""Inpainting from upload to picture: kept pixels stay, painted ones are made anew, masks of nothing are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_core.diffusion.constraints import MASK_RULES
from ddpm_core.diffusion.samplers import SAMPLERS, last
from ddpm_core.images.masks import MaskError
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import InpaintRequest


def test_the_jump_is_the_stretch_that_an_inpainting_takes_again(tiny_model: LatentDiffusion) -> None:
    mask = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    mask[..., :16] = True
    request = InpaintRequest(steps=5, resamples=2, jump=2)
    passed = [step.t for step in tiny_model.inpaint(request, torch.zeros(1, 3, 32, 32), mask)]
    _, a, b, c, d, end = tiny_model.diffuser.spaced_timesteps(5)
    assert passed == [a, b, a, b, c, d, c, d, end]


@pytest.mark.parametrize("rule", ["safe", "nearest"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_inpainting_holds_the_kept_cells_at_the_anchor_at_every_step(
    tiny_model: LatentDiffusion, sampler: str, rule: str
) -> None:
    image, mask = torch.rand(1, 3, 32, 32) * 2 - 1, torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    mask[:, :, 5:19, 3:26] = True
    kept = ~MASK_RULES[rule](mask, 4).expand(2, 4, 8, 8)
    anchor = tiny_model.codec.encode(image).expand(2, -1, -1, -1)
    choices = {"sampler": sampler, "mask_rule": rule, "clamp": "clean", "resamples": 1}
    request = InpaintRequest(seed=1, count=2, steps=5, **choices)
    steps = list(tiny_model.inpaint(request, image, mask))
    assert len(steps) == 5
    assert 0 < kept.float().mean() < 1
    for step in steps:
        assert torch.equal(step.latent[kept], anchor[kept])
    assert (steps[-1].latent[~kept] != anchor[~kept]).all()


def test_what_is_made_anew_depends_on_what_is_kept(tiny_model: LatentDiffusion) -> None:
    mask = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    mask[:, :, 8:16, 8:16] = True
    request, images = InpaintRequest(seed=1, steps=4), (torch.rand(1, 3, 32, 32), -torch.rand(1, 3, 32, 32))
    one, other = (last(tiny_model.inpaint(request, image, mask)).latent[:, :, 2:4, 2:4] for image in images)
    assert (one - other).abs().max() > 1e-3


def test_the_whole_way_of_an_upload_leaves_kept_pixels_as_they_were(tiny_model: LatentDiffusion) -> None:
    draw = np.random.default_rng(0)
    picture = Image.fromarray(draw.integers(0, 256, (70, 50, 3), dtype=np.uint8))
    painted = np.zeros((70, 50), dtype=bool)
    painted[20:45, 10:30] = True
    for keep_painted in (False, True):
        request = InpaintRequest(steps=3, keep_painted=keep_painted)
        frame = tiny_model.frame(request, picture, painted)
        made = tiny_model.pictures(last(tiny_model.inpaint(request, frame.image(), frame.mask())).latent)[0]
        result, kept = np.asarray(frame.paste(made)), painted if keep_painted else ~painted
        assert np.array_equal(result[kept], np.asarray(picture)[kept])
        assert (result[~kept] != np.asarray(picture)[~kept]).any(1).mean() > 0.9


def test_a_mask_is_refused_when_nothing_is_painted_or_nothing_is_left(tiny_model: LatentDiffusion) -> None:
    picture, none = Image.new("RGB", (8, 8)), np.zeros((8, 8), dtype=bool)
    for painted, sentence in [(none, "Nothing is painted"), (~none, "Everything is painted")]:
        with pytest.raises(MaskError, match=sentence):
            tiny_model.frame(InpaintRequest(), picture, painted)


@pytest.mark.parametrize(("filled", "sentence"), [(False, "Nothing is painted"), (True, "Everything is painted")])
def test_keeping_what_is_painted_speaks_of_what_the_user_painted(
    tiny_model: LatentDiffusion, filled: bool, sentence: str
) -> None:
    with pytest.raises(MaskError, match=sentence):
        tiny_model.frame(InpaintRequest(keep_painted=True), Image.new("RGB", (8, 8)), np.full((8, 8), filled))
