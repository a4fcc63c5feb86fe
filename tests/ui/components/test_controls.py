"""Controls that more than one tab has offer what requests take."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import gradio as gr
import pytest

from ddpm_core.checkpoints.native import read_config, write_config
from ddpm_core.requests import MAX_COUNT, EditRequest, GenerateRequest, InpaintRequest
from ui.components.controls import count_row, crop_choice, follow, holding, sampling, shaping, stage_of
from ui.models import Shelf


@pytest.mark.parametrize("kind", [GenerateRequest, InpaintRequest, EditRequest])
def test_steps_and_sampler_start_from_the_requests_defaults_and_offer_all_samplers(kind: type[GenerateRequest]) -> None:
    with gr.Blocks():
        steps, sampler = sampling("x", kind())
    assert (steps.value, sampler.value) == (kind().steps, kind().sampler)
    assert [key for _, key in sampler.choices] == list(get_args(kind.model_fields["sampler"].annotation))
    assert kind(steps=steps.maximum).steps == steps.maximum


def test_controls_follow_a_checkpoint_that_a_visitor_chooses_but_no_run_carried_over(
    own_checkpoint: Path, tiny_checkpoint: Path
) -> None:
    own = {"inpaint": {"clamp": "clean", "steps": 12, "resamples": 1}}
    write_config(own_checkpoint, read_config(own_checkpoint).model_copy(update={"defaults": own}))
    shelf = Shelf.around(own_checkpoint)
    with gr.Blocks() as page:
        checkpoint, carried = gr.Dropdown([shelf.first]), gr.State(None)
        request = shelf.load(shelf.first).request(InpaintRequest)
        steps, sampler = sampling("x", request)
        clamp, resamples = holding("x", request)
        fields = {"steps": steps, "clamp": clamp, "resamples": resamples, "grow": gr.Slider()}
        follow(checkpoint, shelf, InpaintRequest, fields, carried)
    assert (steps.value, sampler.value, clamp.value, resamples.value) == (12, "dpm-solver++", "clean", 1)
    (event,) = page.fns.values()
    assert [target for _, target in event.targets] == ["input"]  # not "change": a saved picture's settings stay
    assert event.outputs == [steps, clamp, resamples]
    assert event.fn(shelf.first, None) == [12, "clean", 1]
    assert event.fn(shelf.first, object()) == [gr.skip()] * 3


def test_as_many_pictures_can_be_had_as_a_request_allows() -> None:
    with gr.Blocks():
        count = count_row("x")
    assert (count.minimum, count.maximum, count.value) == (1, MAX_COUNT, 1)


@pytest.mark.parametrize("faces", [True, False])
def test_whatever_the_shaping_controls_offer_a_request_takes(faces: bool) -> None:
    with gr.Blocks():
        grow, feather, crop, enlarge = shaping("x", faces)
    for slider in (grow, feather):
        for value in (slider.minimum, slider.value, slider.maximum):
            InpaintRequest(**{slider.elem_id.removeprefix("x-"): value})
    for _, key in crop.choices:
        assert InpaintRequest(crop=key).crop == key
    assert enlarge.value is InpaintRequest().enlarge


def test_where_no_faces_are_known_none_are_spoken_of_and_the_whole_picture_is_the_usual() -> None:
    known, unknown = crop_choice(True, "whole"), crop_choice(False, "whole")
    assert (known["value"], unknown["value"]) == ("whole", "auto")
    assert crop_choice(False, "painted")["value"] == "painted"
    assert "face" in str(known).lower()
    assert "face" not in str(unknown).lower()


def test_an_empty_gallery_has_the_room_of_one_picture() -> None:
    assert stage_of(0) == stage_of(1) == ["stage", "of-1"]
    assert stage_of(4) == ["stage", "of-4"]
