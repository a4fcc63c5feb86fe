"""What a visitor asks to be trained, and how the command is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from ui.errors import Problem
from ui.training.order import Order


def order(about: str = "", **fields: object) -> Order:
    return Order.of(**{"preset": "tiny", "iterations": 3, "about": about, **fields})


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"preset": "nosuch"}, "no preset 'nosuch'"),
        ({"iterations": "many"}, "Iterations should be a valid integer"),
        ({"iterations": "0"}, "Vae iterations should be greater"),
        ({"size": "4"}, "Size should be greater"),
        ({"batch_size": "1.5"}, "Batch_size should be a valid integer"),
    ],
)
def test_orders_are_checked_before_anything_runs(fields: dict[str, str], sentence: str) -> None:
    with pytest.raises(Problem, match=sentence):
        order(**fields)


def test_orders_of_older_pages_are_understood() -> None:
    older = '{"preset": "tiny", "data": null, "size": 16, "iterations": 7, "batch_size": null, "sample_every": 9, '
    order = Order.model_validate_json(older + '"about": "mine"}')
    request = order.request(Path("out"))
    assert (request.size, request.denoiser.iterations, request.sample_every, request.about) == (16, 7, 9, "mine")
    assert Order.model_validate_json('{"preset": "tiny", "size": null, "about": ""}') == Order(preset="tiny")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"denoiser.mixer": "magic"}, "Denoiser mixer should be"),
        ({"denoiser.channels": "65"}, "multiple of 8"),
        ({"vae.latent_channels": "0"}, "Vae latent_channels should be greater"),
        ({"codec": "pixel", "stage": "vae"}, "pixel codec has nothing to learn"),
    ],
)
def test_settings_are_checked_before_anything_runs(fields: dict[str, str], sentence: str) -> None:
    with pytest.raises(Problem, match=sentence):
        order(**fields)


def test_empty_boxes_leave_it_to_the_preset() -> None:
    request = Order.of(preset="tiny", iterations=" ", batch_size="", size=None, about=None).request(Path("out"))
    assert (request.vae.iterations, request.size, request.sample_every) == (50, 32, 50)
    assert order(about="--resume=1").request(Path("out")).resume is False


@pytest.mark.parametrize(
    ("preset", "requested", "steps"), [("tiny", "", 50), ("quick", "", 250), ("digits", "", 250), ("quick", "700", 700)]
)
def test_a_page_shows_grids_as_often_as_the_preset_or_more_often(preset: str, requested: str, steps: int) -> None:
    made = Order.of(preset=preset, sample_every=requested)
    assert made.request(Path("out")).sample_every == steps
    assert f"--sample-every={steps}" in made.arguments(Path("out"), "cpu")
