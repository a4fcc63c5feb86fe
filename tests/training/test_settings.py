"""What a training run can be asked for: its bounds, and what is recorded of it."""

from __future__ import annotations

import json

import pytest
from pydantic import BaseModel

from ddpm_core.training.settings import (
    GROUPS,
    PRIVATE,
    STAGES,
    ClassifierSettings,
    DenoiserSettings,
    GuideSettings,
    TrainRequest,
    VaeSettings,
)
from tests.complaints import complaint_of

PATHS = {"data": "in", "out": "out"}


def test_a_missing_field_is_named() -> None:
    assert complaint_of(TrainRequest, data="in") == "out is missing."


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("vae", "iterations", 0),
        ("vae", "batch_size", 0),
        ("vae", "learning_rate", 0),
        ("vae", "ema_decay", 1),
        ("vae", "kl_weight", -1),
        ("denoiser", "dropout", 1),
        ("denoiser", "clamp_share", 1.1),
        ("denoiser", "mixer", "telepathy"),
        ("denoiser", "prediction", "score"),
        ("denoiser", "timesteps", "never"),
        ("denoiser", "schedule", "bus"),
        ("denoiser", "weighting", "none"),
        ("denoiser", "accumulate", 0),
    ],
)
def test_training_settings_out_of_bounds_are_refused_by_a_sentence_naming_them(
    section: str, field: str, value: object
) -> None:
    sentence = complaint_of(TrainRequest, **PATHS, **{section: {field: value}})
    assert sentence.startswith(f"{section} {field}")


def test_settings_that_exclude_each_other_are_refused_without_all_that_was_given() -> None:
    assert complaint_of(TrainRequest, **PATHS, codec="pixel", stage="vae") == (
        "the pixel codec has nothing to learn; leave --stage out."
    )


@pytest.mark.parametrize("model", [TrainRequest, VaeSettings, DenoiserSettings])
def test_unknown_settings_are_refused(model: type[BaseModel]) -> None:
    paths = PATHS if model is TrainRequest else {}
    assert "flavour" in complaint_of(model, **paths, flavour="vanilla")


def test_every_setting_says_what_it_is() -> None:
    for model in (TrainRequest, VaeSettings, DenoiserSettings, ClassifierSettings):
        for name, field in model.model_fields.items():
            assert field.description or name in STAGES, name


def test_stages_run_in_order_and_pixels_need_no_autoencoder() -> None:
    assert TrainRequest(**PATHS).stages == ("vae", "denoiser")
    assert TrainRequest(**PATHS, codec="pixel").stages == ("denoiser",)
    assert TrainRequest(**PATHS, stage="denoiser").stages == ("denoiser",)


def test_what_is_recorded_of_a_stage_is_its_own_settings_and_nothing_of_this_machine() -> None:
    request = TrainRequest(data="/home/me/photos", out="/home/me/mine", init="/home/me/faces", size=64, threads=3)
    recorded = request.recorded("vae")
    assert json.loads(json.dumps(recorded)) == recorded
    assert "/home" not in json.dumps(recorded)
    assert (recorded["size"], recorded["vae"]["iterations"]) == (64, request.vae.iterations)
    assert not recorded.keys() & (PRIVATE | {"denoiser"})


def test_every_setting_stands_in_one_group() -> None:
    places = [place for group in GROUPS.values() for place in group]
    wanted = set(TrainRequest.model_fields) - {*STAGES, "data", "out", "resume"}
    wanted |= {f"vae.{name}" for name in VaeSettings.model_fields}
    wanted |= {f"denoiser.{name}" for name in DenoiserSettings.model_fields}
    wanted |= {f"classifier.{name}" for name in ClassifierSettings.model_fields}
    wanted |= {f"guide.{name}" for name in GuideSettings.model_fields}
    assert sorted(places) == sorted(wanted)
