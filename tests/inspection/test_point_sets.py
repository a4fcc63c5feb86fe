"""Sets of points: of mean 0 and deviation 1, in two colours, and what is drawn by hand is read or refused."""

from __future__ import annotations

import json

import pytest
import torch

from ddpm_core.errors import UserError
from ddpm_core.inspection.point_sets import MOST_DRAWN, SHAPES, drawn_points


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_are_standardised_and_of_two_colours(name: str) -> None:
    points, labels = SHAPES[name]()
    assert points.shape == (len(labels), 2)
    assert 150 <= len(points) <= 500
    assert points.mean(0).abs().max() < 1e-5
    assert points.square().mean().item() == pytest.approx(1, abs=1e-4)
    assert labels.unique().tolist() == [0, 1]
    assert points.abs().max() < 2.6  # so the field shows all of it


def test_points_drawn_are_as_they_were_drawn() -> None:
    points, labels = drawn_points("[[-1, 0.5], [1, 0.25], [2, -2]]")
    assert points.tolist() == [[-1, 0.5], [1, 0.25], [2, -2]]
    assert labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[[0, 1]]", "from 2 to 600"),
        ("", "there are 0"),
        (json.dumps([[0, 0]] * (MOST_DRAWN + 1)), "there are 601"),
        ("[[0, 9], [0, 0]]", "between -3 and 3"),
        ("[[0, NaN], [0, 0]]", "between -3 and 3"),
        ("[1, 2]", "a list of"),
        ("[[1, 2, 3], [1, 2, 3]]", "a list of"),
        ("nothing", "a list of"),
        ('{"a": 1}', "a list of"),
    ],
)
def test_what_are_no_points_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        drawn_points(text)


def test_nothing_is_shown_of_shapes_by_chance() -> None:
    assert all(torch.equal(SHAPES[name]()[0], SHAPES[name]()[0]) for name in SHAPES)
