"""/inside_noise and the other views as other programs see them, with the tiny checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.inspection.noising import NoiseRequest
from ui.api import inside
from ui.models import Shelf
from ui.serving.turns import Left
from ui.tabs.inside.views import VIEWS


def test_every_view_is_an_endpoint_with_what_its_request_has(client: Client) -> None:
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    for name, view in VIEWS.items():
        given = {one["parameter_name"] for one in endpoints[f"/inside_{name}"]["parameters"]}
        expected = {*view.request.model_fields, "checkpoint"} | ({"picture"} if view.of_a_picture else set())
        assert given == expected


def test_a_view_answers_with_a_picture_and_its_numbers(client: Client, tmp_path: Path) -> None:
    path, numbers = client.predict(seed=3, t=400, api_name="/inside_noise")
    assert Image.open(path).format == "PNG"
    assert numbers["alpha_bar"] == Diffuser().alpha_bar[400].item()
    _, numbers = client.predict(api_name="/inside_noise")
    assert numbers["t"] == NoiseRequest().t
    Image.new("RGB", (40, 30), "teal").save(tmp_path / "own.png")
    own, _ = client.predict(picture=handle_file(tmp_path / "own.png"), seed=3, t=400, api_name="/inside_noise")
    assert Path(own).read_bytes() != Path(path).read_bytes()
    with pytest.raises(AppError, match="T should be less"):
        client.predict(t=1000, api_name="/inside_noise")


def test_what_takes_long_has_its_turns_and_ends_where_it_was_left(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[object] = []

    def left_after_three(steps: Iterable[object]) -> Iterator[object]:
        for step in steps:
            if len(taken) == 3:
                raise Left
            taken.append(step)
            yield step

    monkeypatch.setattr(inside, "in_turns", left_after_three)
    view = VIEWS["compare"]
    defaults = {name: field.default for name, field in view.request.model_fields.items()}
    given = defaults | {"seed": 6, "checkpoint": "", "picture": None}
    with pytest.raises(Left):
        next(inside._act(shelf, view)(given))


QUICK = {  # fields with which a view is drawn soonest
    "beliefs": {"steps": 2}, "one_step": {"steps": 2}, "clamp": {"steps": 4}, "points": {"count": 5, "steps": 2},
    "compare": {"across_values": "1, 2", "down": "none"}, "likelihood": {"steps": 2, "probes": 1, "draws": 1},
}  # fmt: skip


@pytest.mark.parametrize("name", VIEWS)
def test_every_endpoint_answers_with_a_picture_or_a_film(client: Client, name: str) -> None:
    path, numbers = client.predict(**QUICK.get(name, {}), api_name=f"/inside_{name}")
    with Image.open(path) as shown:
        assert shown.format in {"PNG", "GIF"}
    assert numbers
