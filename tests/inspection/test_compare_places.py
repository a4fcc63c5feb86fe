"""The places of a comparison, before anything is made: what each is to show, and what is refused."""

from __future__ import annotations

import pytest

from ddpm_core.errors import UserError
from ddpm_core.inspection.compare_places import MOST_CALLS, ComparisonRequest, places
from ddpm_core.inspection.compare_request import CompareRequest
from ddpm_core.pipeline import LatentDiffusion
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


def test_a_part_of_the_picture_makes_it_a_comparison_of_fillings(tiny_model: LatentDiffusion) -> None:
    assert type(ComparisonRequest().base(tiny_model)) is GenerateRequest
    base = ComparisonRequest(region="eyes", seed=4, resamples=2, across="clamp", down="none").base(tiny_model)
    assert isinstance(base, InpaintRequest)
    assert (base.seed, base.resamples) == (4, 2)


OWN = {"sampler": "sde-dpm-solver++", "noise_above": 200, "first_order_above": 500, "spacing": "power", "exponent": 1.2}


def test_what_is_not_given_is_the_checkpoints_own(tiny_model: LatentDiffusion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny_model, "defaults", {"generate": {"steps": 7, **OWN}})
    assert ComparisonRequest(seed=5).base(tiny_model) == GenerateRequest(seed=5, steps=7, **OWN)
    given = {"steps": 20, "sampler": "ddim"}  # which is given, though ComparisonRequest has the same steps
    assert ComparisonRequest(**given).base(tiny_model) == GenerateRequest(
        seed=127, **given, spacing="power", exponent=1.2
    )
    monkeypatch.setattr(tiny_model, "defaults", {"inpaint": {"resamples": 2}})
    with pytest.raises(UserError, match="churn"):
        ComparisonRequest(region="eyes", churn=5).base(tiny_model)


def test_what_one_sampler_or_spacing_alone_has_is_left_out_where_others_are_compared() -> None:
    base = GenerateRequest(steps=7, **OWN)
    grid = places(asked("sampler", "ddpm,sde-dpm-solver++", "spacing", "uniform,power"), base, "tiny")
    settings = [
        (one.request.noise_above, one.request.first_order_above, one.request.exponent) for one in grid if one.request
    ]
    plain = GenerateRequest()
    assert settings == [
        (0, plain.first_order_above, plain.exponent), (200, 500, plain.exponent),
        (0, plain.first_order_above, 1.2), (200, 500, 1.2),
    ]  # fmt: skip
    for place in places(asked("eta", "0,1"), base, "tiny"):
        assert place.request is not None
        assert (place.request.sampler, place.request.noise_above) == ("ddim", 0)


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
