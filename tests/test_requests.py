"""Requests: their bounds, and what command lines make of them."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.illusions import VIEWS
from ddpm_core.diffusion.samplers import SAMPLERS
from ddpm_core.diffusion.spacing import SPACINGS
from ddpm_core.requests import (
    MAX_COUNT,
    MAX_SEED,
    MAX_STRIP,
    AnagramRequest,
    BetweenRequest,
    EditRequest,
    GenerateRequest,
    HybridRequest,
    InpaintRequest,
)
from tests.complaints import complaint_of


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", -1),
        ("seed", MAX_SEED + 1),
        ("seed", 1.5),
        ("seed", "abc"),
        ("count", 0),
        ("count", MAX_COUNT + 1),
        ("steps", 0),
        ("steps", 1001),
        ("sampler", "magic"),
        ("spacing", "wide"),
        ("eta", -0.1),
        ("eta", 1.5),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_a_sentence_naming_field_and_value(field: str, value: object) -> None:
    sentence = complaint_of(GenerateRequest, **{field: value})
    assert sentence.startswith(field)
    assert str(value) in sentence


@pytest.mark.parametrize(
    ("field", "value"), [("seed", 0), ("seed", MAX_SEED), ("count", 1), ("count", MAX_COUNT), ("steps", 1)]
)
def test_the_limits_themselves_are_allowed(field: str, value: int) -> None:
    assert getattr(GenerateRequest(**{field: value}), field) == value


@pytest.mark.parametrize(
    ("field", "value"),
    [("grow", 257), ("grow", -257), ("grow", 0.5), ("feather", -1), ("feather", 257), ("crop", "tight")],
)
def test_the_shape_of_an_inpainting_is_bounded(field: str, value: object) -> None:
    assert complaint_of(InpaintRequest, **{field: value}).startswith(field)


@pytest.mark.parametrize("resamples", [1, 2, 5])
def test_an_inpainting_counts_the_steps_of_its_path(resamples: int) -> None:
    assert InpaintRequest(steps=7, resamples=resamples).calls == 6 * resamples + 1
    assert InpaintRequest(steps=1, resamples=resamples).calls == 1
    if resamples > 1:  # of seven steps before the last, one is left over
        assert InpaintRequest(steps=8, resamples=resamples, jump=3).calls == 6 * resamples + 2


@pytest.mark.parametrize("jump", [0, 999, 1.5])
def test_a_jump_out_of_bounds_is_refused(jump: float) -> None:
    assert complaint_of(InpaintRequest, steps=999, jump=jump).startswith("jump")


def test_a_jump_without_effect_is_refused() -> None:
    assert InpaintRequest().jump == 1
    assert InpaintRequest(steps=10, jump=9).jump == 9
    assert complaint_of(InpaintRequest, steps=10, jump=10) == (
        "jump must be less than the number of steps (10), the last of which is taken once, not '10'."
    )
    assert complaint_of(InpaintRequest, resamples=1, jump=2) == (
        "jump belongs to resamples above 1 and must be 1 without, not '2'."
    )
    assert complaint_of(InpaintRequest, steps=0, jump=2).startswith("steps")


@pytest.mark.parametrize("strength", [0, -0.5, 1.01, "much"])
def test_the_strength_of_an_edit_is_bounded(strength: object) -> None:
    assert complaint_of(EditRequest, strength=strength).startswith("strength")


def test_an_edit_takes_a_fraction_of_its_steps_and_at_least_one() -> None:
    assert EditRequest(steps=20, strength=0.55).calls == 11
    assert EditRequest(steps=20, strength=1).calls == 20
    assert EditRequest(steps=3, strength=0.01).calls == 1


@pytest.mark.parametrize(
    ("field", "value"), [("to", -1), ("to", MAX_SEED + 1), ("count", MAX_STRIP + 1), ("start", -0.1), ("end", 1.1)]
)
def test_the_way_between_two_seeds_is_bounded(field: str, value: float) -> None:
    assert complaint_of(BetweenRequest, **{field: value}).startswith(field)


def test_the_pictures_between_two_seeds_are_evenly_spaced_and_can_be_made_alone() -> None:
    way = BetweenRequest(seed=MAX_SEED, to=3, count=5)  # the seed is not counted on from
    assert way.fractions == [0, 0.25, 0.5, 0.75, 1]
    assert [single.fractions for single in way.singles()] == [[fraction] for fraction in way.fractions]
    assert {(single.seed, single.to, single.count) for single in way.singles()} == {(MAX_SEED, 3, 1)}
    assert BetweenRequest(count=3, start=0.2, end=0.4).fractions == pytest.approx([0.2, 0.3, 0.4])
    assert BetweenRequest(count=1).fractions == [0]


def test_the_views_of_an_anagram_are_those_in_which_a_picture_differs() -> None:
    for name in set(VIEWS) - {"identity"}:
        assert AnagramRequest(view=name).view == name
    for name in ("identity", "sideways"):
        assert complaint_of(AnagramRequest, view=name).startswith("view")


def test_classes_go_by_the_field_they_were_requested_in() -> None:
    assert GenerateRequest().labels == AnagramRequest(other="").labels == {}
    assert GenerateRequest(label=3).labels == {"label": "3"}
    assert AnagramRequest(label="6", other="9").labels == {"label": "6", "other": "9"}
    assert HybridRequest(other="9").labels == {"other": "9"}


@pytest.mark.parametrize("blur", [0, -1, 33])
def test_a_blur_out_of_bounds_is_refused(blur: float) -> None:
    assert complaint_of(HybridRequest, blur=blur).startswith("blur")


def test_every_number_of_steps_a_request_allows_is_one_the_schedule_has() -> None:
    for steps in (1, 999, 1000, 1001):
        try:
            request = GenerateRequest(steps=steps)
        except ValidationError:
            continue
        assert Diffuser().spaced_timesteps(request.steps)[-1] == 0


def test_eta_reaches_ddim_and_is_refused_where_it_has_no_effect() -> None:
    assert GenerateRequest(sampler="ddim", eta=0.5).extras("sampler") == {"eta": 0.5}
    assert GenerateRequest(sampler="heun", eta=0).extras("sampler") == {}
    assert GenerateRequest(spacing="karras", rho=3).extras("spacing") == {"rho": 3}
    sentence = complaint_of(GenerateRequest, sampler="heun", eta=0.5)
    assert sentence == "eta belongs to the sampler ddim and must be 0 with heun, not '0.5'."


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"snr": 0.1}, "snr belongs to the sampler langevin and must be 0.16 with dpm-solver++, not '0.1'."),
        (
            {"sampler": "ddim", "variance_type": "fixed_large"},
            "variance_type belongs to the sampler ddpm and langevin and must be learned with ddim, not 'fixed_large'.",
        ),
        (
            {"noise_above": 200},
            "noise_above belongs to the sampler sde-dpm-solver++ and must be 0 with dpm-solver++, not '200'.",
        ),
        ({"exponent": 2}, "exponent belongs to the spacing power and must be 1.25 with uniform, not '2'."),
        ({"rho": 3}, "rho belongs to the spacing karras and must be 7 with uniform, not '3'."),
    ],
)
def test_what_would_have_no_effect_is_refused(fields: dict, sentence: str) -> None:
    assert complaint_of(GenerateRequest, **fields) == sentence


def test_an_inpainting_is_resampled_or_churned() -> None:
    sentence = complaint_of(InpaintRequest, churn=2.0)
    assert sentence == "resamples must be 1 with churn, since both add noise between steps."
    assert InpaintRequest(churn=2.0, resamples=1).churn == 2


def test_no_picture_of_a_batch_has_a_seed_out_of_bounds() -> None:
    try:
        seeds = [single.seed for single in GenerateRequest(seed=MAX_SEED, count=3).singles()]
    except ValidationError:
        return
    assert max(seeds) <= MAX_SEED


def test_what_is_wrong_with_several_fields_together_is_reported_without_all_that_was_given() -> None:
    assert complaint_of(GenerateRequest, seed=MAX_SEED, count=2) == ("the last seed, 2147483648, is above 2147483647.")


@pytest.mark.parametrize(
    "model",
    [
        GenerateRequest,
        InpaintRequest,
        EditRequest,
        BetweenRequest,
        AnagramRequest,
        HybridRequest,
    ],
)
def test_unknown_fields_are_refused(model: type[BaseModel]) -> None:
    assert "flavour" in complaint_of(model, flavour="vanilla")


def test_requests_cannot_be_changed_once_made() -> None:
    with pytest.raises(ValidationError):
        GenerateRequest().seed = 5


def test_singles_make_each_picture_of_the_batch_alone() -> None:
    batch = InpaintRequest(seed=5, count=3, steps=7, keep_painted=True)
    singles = batch.singles()
    assert [single.seed for single in singles] == [5, 6, 7]
    for single in singles:
        assert isinstance(single, InpaintRequest)
        assert (single.count, single.steps, single.keep_painted) == (1, 7, True)


def test_the_choices_of_requests_are_those_the_code_offers() -> None:
    for sampler in SAMPLERS:
        assert GenerateRequest(sampler=sampler).sampler == sampler
    for spacing in SPACINGS:
        assert GenerateRequest(spacing=spacing).spacing == spacing


def test_every_field_says_what_it_is() -> None:
    requests = (
        GenerateRequest,
        InpaintRequest,
        EditRequest,
        BetweenRequest,
        AnagramRequest,
        HybridRequest,
    )
    for model in requests:
        for name, field in model.model_fields.items():
            assert field.description, name
