"""The grid of a comparison: what is in each place is what its settings make, and what is said under it is true."""

from __future__ import annotations

import time

import numpy as np
from PIL import Image

from ddpm_core.diffusion.samplers import last
from ddpm_core.inspection.compare import (
    TILE,
    Upload,
    compare,
    compare_by_step,
    facts,
    numbers,
    sheet,
)
from ddpm_core.inspection.compare_places import places
from ddpm_core.inspection.compare_request import CompareRequest
from ddpm_core.inspection.rescheduled import under_schedule
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest, InpaintRequest


def asked(across: str, values: str, down: str = "none", down_values: str = "") -> CompareRequest:
    return CompareRequest(across=across, across_values=values, down=down, down_values=down_values)


def test_every_place_is_the_picture_that_its_settings_make_and_its_calls_are_counted(
    tiny_model: LatentDiffusion,
) -> None:
    comparison, base = asked("steps", "2, 3", "sampler", "ddim,heun"), GenerateRequest(seed=5, count=3)
    made = list(compare(places(comparison, base, "tiny"), lambda name: tiny_model))
    assert [(one.place.row, one.place.column) for one in made] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [one.calls for one in made] == [2, 3, 3, 5]  # Heun looks at both ends of each step but the last
    alone = GenerateRequest(seed=5, steps=3, sampler="heun")
    expected = tiny_model.pictures(last(tiny_model.generate(alone)).latent)[0]
    assert np.array_equal(np.asarray(made[3].picture), np.asarray(expected))
    assert all(one.seconds > 0 for one in made)
    assert facts(made[3], comparison) == {
        "steps": "3",
        "sampler": "heun",
        "calls": 5,
        "seconds": round(made[3].seconds, 4),
    }


def test_it_can_wait_after_every_step_and_that_is_not_counted_as_its_time(tiny_model: LatentDiffusion) -> None:
    grid = places(asked("steps", "3,4"), GenerateRequest(), "tiny")
    began, made = time.perf_counter(), []
    for one in compare_by_step(grid, lambda name: tiny_model):
        made.append(one)
        time.sleep(0.2)
    # One step of what is set up at first, and those of each picture.
    assert [one is None for one in made] == [True] * 4 + [False] + [True] * 4 + [False]
    assert sum(one.seconds for one in made if one is not None) < time.perf_counter() - began - 0.2 * len(made)


def test_schedules_and_checkpoints_are_compared_by_the_models_that_have_them(tiny_model, class_model) -> None:
    base = GenerateRequest(seed=1, steps=2)
    models = {"tiny": tiny_model, "insects": class_model}
    made = list(compare(places(asked("schedule", "linear,cosine"), base, "tiny"), models.__getitem__))
    other = under_schedule(tiny_model, "cosine")
    assert np.array_equal(made[1].picture, other.pictures(last(other.generate(base)).latent)[0])
    made = list(compare(places(asked("checkpoint", "tiny,insects"), base, "none"), models.__getitem__))
    assert np.array_equal(made[1].picture, class_model.pictures(last(class_model.generate(base)).latent)[0])


def test_clamps_are_compared_on_an_upload_whose_kept_pixels_stay(tiny_model: LatentDiffusion) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    painted = np.zeros((32, 32), bool)
    painted[8:24, 8:24] = True
    comparison = asked("clamp", "", "resamples", "1,2")
    grid = places(comparison, InpaintRequest(steps=2), "tiny")
    made = list(compare(grid, lambda name: tiny_model, Upload(Image.fromarray(pixels), painted)))
    assert [one.calls for one in made] == [2, 2, 3, 3]
    for one in made:
        assert np.array_equal(np.asarray(one.picture)[~painted], pixels[~painted])


def test_settings_that_do_not_go_together_leave_a_place_empty_and_say_why(tiny_model: LatentDiffusion) -> None:
    comparison = asked("eta", "0,1", "sampler", "ddim,heun")
    made = list(compare(places(comparison, GenerateRequest(steps=1), "tiny"), lambda name: tiny_model))
    assert [one.picture is None for one in made] == [False, False, False, True]
    assert "heun" in made[3].note
    assert facts(made[3], comparison) == {"eta": "1", "sampler": "heun", "note": made[3].note}
    (only, _) = compare(places(asked("eta", "0.5,1"), GenerateRequest(steps=1), "tiny"), lambda name: tiny_model)
    assert only.place.request.sampler == "ddim"  # the only one that has it


def test_a_class_that_a_checkpoint_does_not_have_is_said_in_its_place(tiny_model, class_model) -> None:
    grid = places(asked("checkpoint", "tiny,insects"), GenerateRequest(steps=1, label="ant"), "tiny")
    first, second = compare(grid, {"tiny": tiny_model, "insects": class_model}.__getitem__)
    assert (first.picture, second.note) == (None, "")
    assert "without classes" in first.note


def test_the_sheet_has_the_pictures_as_they_are_in_places_of_their_own(tiny_model: LatentDiffusion) -> None:
    comparison = asked("steps", "1,2", "sampler", "ddim")
    grid = places(comparison, GenerateRequest(), "tiny")
    made = list(compare(grid, lambda name: tiny_model))
    drawn, begun = (
        np.asarray(sheet(comparison, made, "tiny, seed 0")),
        np.asarray(sheet(comparison, made[:1], "tiny, seed 0")),
    )
    times = TILE // tiny_model.size
    for one in made:
        tile = np.asarray(one.picture).repeat(times, 0).repeat(times, 1)
        windows = np.lib.stride_tricks.sliding_window_view(drawn, tile.shape)[:, :, 0]
        assert (windows[:, :, 0, 0] == tile[0, 0]).all(-1).any()
        places_of_it = np.argwhere((windows[:, :, 0, 0] == tile[0, 0]).all(-1))
        assert any(np.array_equal(windows[y, x], tile) for y, x in places_of_it)
    assert drawn.shape == begun.shape
    assert not np.array_equal(drawn, begun)
    assert numbers(made[0]).startswith("1 call, ")
