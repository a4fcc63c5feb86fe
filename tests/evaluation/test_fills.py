"""Inpainting measured: what is kept, what is new, and the edge between."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm_core.evaluation.fills import measure_fills, some_pictures
from ddpm_core.images.files import PictureError
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import InpaintRequest
from tests.icc_profiles import profile


def test_pictures_are_spread_over_the_files_and_those_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(9)]
    for number, path in enumerate(paths):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(path)
    paths[4].write_text("no picture")
    assert [picture.getpixel((0, 0))[0] for picture in some_pictures(paths, 3)] == [0, 8]
    assert len(some_pictures(paths, 100)) == 8
    with pytest.raises(PictureError):
        some_pictures(paths[4:5], 3)


def test_fills_of_two_seeds_differ_and_nothing_kept_does(tiny_model: LatentDiffusion) -> None:
    draw = np.random.default_rng(0)
    photos = [Image.fromarray(draw.integers(0, 256, (40, 48, 3), dtype=np.uint8)) for _ in range(2)]
    request = InpaintRequest(steps=2)
    measured = measure_fills(tiny_model, photos, request)
    assert (measured["fills"], measured["kept_max_diff"]) == (2, 0)
    assert min(measured[name] for name in ("edge_distance", "fill_distance", "fill_diversity", "seam_ratio")) > 0
    assert measure_fills(tiny_model, photos, request) == measured
    assert measure_fills(tiny_model, photos, request.model_copy(update={"seed": 7})) != measured


def test_an_alpha_channel_and_a_profile_do_not_change_what_is_measured(tiny_model: LatentDiffusion) -> None:
    photo = Image.fromarray(np.random.default_rng(0).integers(60, 200, (40, 48, 3), dtype=np.uint8))
    layered, tagged = photo.copy(), photo.copy()
    layered.putalpha(255)
    tagged.info["icc_profile"] = profile("sRGB")
    request = InpaintRequest(steps=1, resamples=1)
    plain = measure_fills(tiny_model, [photo], request)
    assert measure_fills(tiny_model, [layered], request) == plain
    assert measure_fills(tiny_model, [tagged], request) == plain
