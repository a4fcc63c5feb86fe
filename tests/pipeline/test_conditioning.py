"""The predictor for what is asked for, and wrappers around all of a model's predictors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_core.diffusion.guidance import WRAPPERS
from ddpm_core.diffusion.prediction import Prediction, Predictor, predictor
from ddpm_core.diffusion.samplers import last
from ddpm_core.errors import UserError
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import AnagramRequest, BetweenRequest, EnlargeRequest, GenerateRequest


def doubled(predict: Predictor, factor: float = 2.0) -> Predictor:
    return lambda z, t: Prediction(factor * predict(z, t).eps)


def test_a_wrapper_is_put_around_a_copy_and_every_request_without_a_class_goes_through_it(
    tiny_model: LatentDiffusion,
) -> None:
    wrapped, z, t = tiny_model.with_wrapper(doubled), torch.randn(2, 4, 8, 8), torch.tensor([10, 800])
    with torch.inference_mode():
        plain = tiny_model.predict(z, t).eps
        torch.testing.assert_close(wrapped.predict(z, t).eps, 2 * plain)
        torch.testing.assert_close(wrapped.with_wrapper(doubled).predict(z, t).eps, 4 * plain)
    assert wrapped.denoiser is tiny_model.denoiser
    assert not tiny_model.wrappers
    for run, request in (
        (LatentDiffusion.generate, GenerateRequest(steps=2)),
        (LatentDiffusion.between, BetweenRequest(steps=2, count=2)),
        (LatentDiffusion.anagram, AnagramRequest(steps=2)),
    ):
        latents = [last(run(model, request)).latent for model in (tiny_model, wrapped)]
        assert (latents[0] - latents[1]).abs().max() > 0.01


def test_a_wrapper_is_around_the_predictors_of_classes_too(class_model: LatentDiffusion) -> None:
    z, t = torch.randn(2, 48, 8, 8), torch.tensor([10, 800])
    with torch.inference_mode():
        plain = class_model.class_predictor("bee", 2.0)(z, t).eps
        wrapped = class_model.with_wrapper(doubled).class_predictor("bee", 2.0)(z, t).eps
    torch.testing.assert_close(wrapped, 2 * plain)


def test_a_wrapper_in_the_table_is_requested_by_a_field_of_the_request(
    tiny_model: LatentDiffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Request(GenerateRequest):
        factor: float | None = None

    monkeypatch.setitem(WRAPPERS, "factor", doubled)
    plain, unasked, asked = (
        last(tiny_model.generate(request)).latent
        for request in (GenerateRequest(steps=2), Request(steps=2), Request(steps=2, factor=1.5))
    )
    wanted = last(tiny_model.with_wrapper(lambda predict: doubled(predict, 1.5)).generate(Request(steps=2))).latent
    assert torch.equal(unasked, plain)
    assert torch.equal(asked, wanted)
    assert not torch.equal(asked, plain)


# What is asked for


@pytest.mark.parametrize(("guidance", "pictures"), [(1, 2), (2, 4), (0, 4)])
@pytest.mark.parametrize("asked", [{"label": "bee"}, {"prompt": "red ant"}], ids=["class", "words"])
def test_at_scale_1_the_network_is_called_for_what_is_asked_alone(
    class_model: LatentDiffusion, word_model: LatentDiffusion, asked: dict[str, str], guidance: int, pictures: int
) -> None:
    model, sizes = class_model if "label" in asked else word_model, []
    request = GenerateRequest(guidance=guidance, count=2, steps=3, **asked)
    with model.denoiser.register_forward_pre_hook(lambda network, given: sizes.append(len(given[0]))):
        last(model.generate(request))
    assert sizes == [pictures] * 3
    assert sum(sizes) == request.model_calls


def test_each_half_of_a_pair_is_asked_for_with_all_that_the_request_says() -> None:
    pair = AnagramRequest(label="ant", prompt="red", other="bee", other_prompt="blue", guidance=3, steps=7)
    first, second = pair.halves
    assert (first.label, first.prompt, second.label, second.prompt) == ("ant", "red", "bee", "blue")
    assert (second.guidance, second.steps) == (3, 7)


def test_a_model_that_always_wants_a_class_is_neither_asked_without_one_nor_guided(
    class_model: LatentDiffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_model.denoiser, "null_class", None)
    with pytest.raises(UserError, match="always wants a class; choose from: "):
        class_model.conditional_predictor(GenerateRequest())
    with pytest.raises(UserError, match="cannot be guided towards one; set guidance to 1"):
        class_model.class_predictor("bee", 2)
    z, t = torch.randn(2, 48, 8, 8), torch.tensor([10, 800])
    with torch.inference_mode():
        wanted = predictor(class_model.denoiser, class_model.diffuser)(z, t, torch.tensor([2, 2])).eps
        torch.testing.assert_close(class_model.class_predictor("bee", 1)(z, t).eps, wanted)


def test_one_that_enlarges_is_shown_a_picture_and_goes_by_it(enlarging_model: LatentDiffusion) -> None:
    request = EnlargeRequest(seed=3, count=2, steps=2, noise_level=0.2)
    images = torch.rand(2, 1, 3, 20, 28) * 2 - 1  # larger than what it was trained to enlarge, and no square
    one, other = (last(enlarging_model.enlarge(request, image)).latent for image in images)
    assert one.shape == (2, 12, 20, 28)
    assert enlarging_model.codec.decode(one).shape == (2, 3, 40, 56)
    assert not torch.allclose(one, other)
    for alone, made in zip(request.singles(), one, strict=True):  # each picture is what it is without the others
        single = last(enlarging_model.enlarge(alone, images[0])).latent[0]
        torch.testing.assert_close(single, made, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("side", [8, 16, 24])
def test_pictures_are_enlarged_that_are_smaller_than_what_it_takes_or_larger(
    enlarging_model: LatentDiffusion, side: int
) -> None:
    """Which takes 16 pixels: a checkpoint beside it may make others."""
    pictures = [Image.effect_noise((side, side), spread).convert("RGB") for spread in (20, 90)]
    both = enlarging_model.enlarged(pictures, 3)
    assert [one.size for one in both] == [(2 * side, 2 * side)] * 2
    alone = np.asarray(enlarging_model.enlarged(pictures[1:], 4)[0], dtype=int)
    assert np.abs(alone - np.asarray(both[1])).max() <= 1


def test_one_that_enlarges_says_so_where_there_is_nothing_to_enlarge(
    enlarging_model: LatentDiffusion, tiny_model: LatentDiffusion
) -> None:
    with pytest.raises(UserError, match="larger enlarges pictures, and makes none from noise"):
        enlarging_model.generate(GenerateRequest(steps=2))
    with pytest.raises(UserError, match="larger enlarges pictures"):
        enlarging_model.predict(torch.zeros(1, 12, 16, 16), torch.ones(1))
    with pytest.raises(UserError, match="tiny makes pictures from noise, and enlarges none"):
        tiny_model.enlarge(EnlargeRequest(), torch.zeros(1, 3, 16, 16))


def test_wrappers_stand_around_what_is_shown_a_picture_too(enlarging_model: LatentDiffusion) -> None:
    condition, z, t = torch.randn(1, 12, 16, 16), torch.randn(1, 12, 16, 16), torch.tensor([500])
    plain = enlarging_model.with_condition(condition).predict(z, t).eps
    for model in (
        enlarging_model.with_wrapper(doubled).with_condition(condition),
        enlarging_model.with_condition(condition).with_wrapper(doubled),
    ):
        torch.testing.assert_close(model.predict(z, t).eps, 2 * plain)


def test_a_prompt_that_is_refused_is_not_also_said_to_be_passed_over(
    tiny_model: LatentDiffusion, word_model: LatentDiffusion
) -> None:
    asked = GenerateRequest(prompt="a zebra")
    assert "zebra" in word_model.notes(asked)[0]
    assert tiny_model.notes(asked) == []


@pytest.mark.parametrize("wordless", ["\U0001f600", ", ,", "\0"])
def test_a_prompt_without_any_word_is_said_to_say_nothing(word_model: LatentDiffusion, wordless: str) -> None:
    known = word_model.words[0]
    assert word_model.notes(GenerateRequest(prompt=known)) == []
    assert "no words" in word_model.notes(GenerateRequest(prompt=known, negative_prompt=wordless))[0]
