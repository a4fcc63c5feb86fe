"""/edit, /between and /anagram as other programs see them, with the tiny checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from ddpm_core.images.files import read_parameters

STEPS = 3
SIDE = 32  # of the tiny checkpoint's pictures


def test_edit_takes_any_picture_and_says_how_it_was_made(client: Client, upload: Path) -> None:
    paths = client.predict(
        picture=handle_file(upload), strength=0.5, seed=4, count=2, steps=STEPS, api_name="/edit"
    )  # fmt: skip
    assert [Image.open(path).size for path in paths] == [(SIDE, SIDE)] * 2
    parameters = [read_parameters(path) for path in paths]
    assert [(one["action"], one["seed"], one["strength"], one["count"]) for one in parameters] == [
        ("edit", 4, 0.5, 1),
        ("edit", 5, 0.5, 1),
    ]


def test_an_edit_of_a_picture_made_here_says_how_that_was_made(client: Client) -> None:
    (face,) = client.predict(seed=5, steps=STEPS, api_name="/generate")
    (path,) = client.predict(picture=handle_file(face), steps=STEPS, api_name="/edit")
    assert read_parameters(path)["continued_from"] == read_parameters(face)


def test_between_gives_every_picture_a_name_and_what_made_it(client: Client) -> None:
    paths, gif = client.predict(seed=3, to=9, count=4, steps=STEPS, api_name="/between")
    assert len({Path(path).name for path in paths}) == 4
    parameters = [read_parameters(path) for path in paths]
    assert [(one["seed"], one["to"], one["start"]) for one in parameters] == [
        (3, 9, pytest.approx(i / 3)) for i in range(4)
    ]
    for seed, path in ((3, paths[0]), (9, paths[-1])):
        (alone,) = client.predict(seed=seed, steps=STEPS, api_name="/generate")
        assert np.abs(np.asarray(Image.open(alone)).astype(int) - np.asarray(Image.open(path))).max() <= 1
    with Image.open(gif) as moving:
        assert moving.format == "GIF"
        first, frames = np.asarray(moving.convert("RGB"), float), moving.n_frames  # type: ignore[attr-defined]
        moving.seek(frames - 1)
        assert np.abs(np.asarray(moving.convert("RGB"), float) - first).mean() < 1  # it comes back


def test_anagram(client: Client) -> None:
    (path,) = client.predict(seed=3, view="turned-90", steps=STEPS, api_name="/anagram")
    parameters = read_parameters(path)
    assert (parameters["action"], parameters["view"], parameters["seed"]) == ("anagram", "turned-90", 3)
    (plain,) = client.predict(seed=3, steps=STEPS, api_name="/generate")
    assert (np.asarray(Image.open(plain)) != np.asarray(Image.open(path))).any()


@pytest.mark.parametrize(
    ("name", "fields", "sentence"),
    [
        ("edit", {}, "A picture is needed"),
        ("edit", {"strength": 0}, "Strength should be greater than 0"),
        ("between", {"to": -1}, "To should be greater"),
        ("between", {"count": 17}, "Count should be less"),
        ("anagram", {"view": "negated"}, "negated"),
    ],
)
def test_what_cannot_be_done_is_reported(client: Client, name: str, fields: dict, sentence: str) -> None:
    picture = {"picture": None} if name == "edit" else {}
    with pytest.raises(AppError, match=sentence):
        client.predict(**picture, **fields, api_name=f"/{name}")
