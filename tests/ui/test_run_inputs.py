"""What a run starts from, carried from tab to tab."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ddpm_core.diffusion.samplers import last
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest, InpaintRequest
from ui.run_inputs import RunInputs


def test_one_of_a_batch_keeps_the_rest_and_an_index_beyond_it_is_the_last() -> None:
    painted = np.ones((2, 3), dtype=bool)
    inputs = RunInputs(InpaintRequest(seed=5, count=3, steps=7), "photo.png", painted)
    assert [inputs.single(index).request.seed for index in (0, 2, 9)] == [5, 7, 7]
    one = inputs.single(1)
    assert (one.request.count, one.request.steps, one.picture) == (1, 7, "photo.png")
    assert one.painted is painted


def test_a_picture_from_a_seed_is_shown_as_it_is(tiny_model: LatentDiffusion) -> None:
    steps, show = RunInputs(GenerateRequest(seed=3, steps=2)).begin(tiny_model, 16)
    assert last(steps).latent.shape == (1, 4, 8, 8)
    picture = Image.new("RGB", (32, 32))
    assert show(picture) is picture


def test_an_inpainting_is_shown_on_the_upload_no_larger_than_asked(tiny_model: LatentDiffusion, tmp_path: Path) -> None:
    Image.new("RGB", (200, 100), "teal").save(tmp_path / "photo.png")
    painted = np.zeros((100, 200), dtype=bool)
    painted[40:60, 90:110] = True
    inputs = RunInputs(InpaintRequest(seed=3, steps=2), str(tmp_path / "photo.png"), painted)
    steps, show = inputs.begin(tiny_model, 50)
    made = tiny_model.pictures(last(steps).latent)[0]
    assert show(made).size == (50, 25)
    assert show(made).getpixel((0, 0)) == (0, 128, 128)  # it is the upload where nothing is painted
