"""The places of a comparison, before anything is made: what each is to show, and what is refused."""

from __future__ import annotations

import pytest

from ddpm_core.errors import UserError
from ddpm_core.inspection.compare_places import MOST_CALLS, ComparisonRequest, places
from ddpm_core.inspection.compare_request import CompareRequest
from ddpm_core.requests import GenerateRequest, InpaintRequest


def asked(across: str, values: str, down: str = "none", down_values: str = "") -> CompareRequest:
    return CompareRequest(across=across, across_values=values, down=down, down_values=down_values)


def test_places_stand_row_by_row_with_what_they_differ_in() -> None:
    grid = places(asked("steps", "2,5", "schedule", "linear,cosine"), GenerateRequest(seed=3, count=4), "tiny")
    assert [(place.row, place.column) for place in grid] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [(place.request.steps, place.schedule) for place in grid if place.request] == [
        (2, "linear"), (5, "linear"), (2, "cosine"), (5, "cosine"),
    ]  # fmt: skip
    assert {(place.checkpoint, place.request.seed, place.request.count) for place in grid if place.request} == {
        ("tiny", 3, 1)
    }


def test_a_part_of_the_picture_makes_it_a_comparison_of_fillings() -> None:
    assert type(ComparisonRequest().base) is GenerateRequest
    base = ComparisonRequest(region="eyes", seed=4, resamples=2, across="clamp", down="none").base
    assert isinstance(base, InpaintRequest)
    assert (base.seed, base.resamples) == (4, 2)


@pytest.mark.parametrize(
    ("across", "values", "words"),
    [
        ("sampler", "ddim,magic", "magic"),
        ("steps", "0", "steps"),
        ("guidance", "2", "class"),
        ("guidance", "21", "guidance"),
        ("clamp", "clean", "inpainting"),
        ("schedule", "steep", "steep"),
        ("steps", ",".join(["999"] * 5), str(MOST_CALLS)),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_sentence(across: str, values: str, words: str) -> None:
    base = GenerateRequest(label="ant") if values == "21" else GenerateRequest()
    with pytest.raises(UserError, match=words) as refused:
        places(asked(across, values), base, "tiny")
    assert str(refused.value).endswith(".")
