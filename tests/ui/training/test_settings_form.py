"""The form of training settings: one control for each, with its field's words, bounds and choices."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, get_args

import gradio as gr
import pytest

from ddpm_core.networks.mixers import Mixer
from ddpm_core.training.presets import PRESETS
from ddpm_core.training.settings import (
    GROUPS,
    STAGES,
    ClassifierSettings,
    DenoiserSettings,
    GuideSettings,
    TrainRequest,
    VaeSettings,
)
from ui.training.order import Order
from ui.training.settings_form import INIT, NOT_ON_PAGE, Form, place_settings, preset_values


@pytest.fixture
def form() -> Form:
    """The form on a page nobody looks at."""
    with gr.Blocks():
        return place_settings(["faces", "digits"], "tiny")


def test_every_setting_has_a_control(form: Form) -> None:
    wanted = {name for name in TrainRequest.model_fields if name not in NOT_ON_PAGE | set(STAGES)}
    wanted |= {f"vae.{name}" for name in VaeSettings.model_fields}
    wanted |= {f"denoiser.{name}" for name in DenoiserSettings.model_fields}
    wanted |= {f"classifier.{name}" for name in ClassifierSettings.model_fields}
    wanted |= {f"guide.{name}" for name in GuideSettings.model_fields}
    assert set(form) == wanted
    assert {
        "codec",
        "classes",
        "held_out",
        "denoiser.schedule",
        "denoiser.prediction",
        "denoiser.mixer",
        "denoiser.channels",
    } < set(form)


def test_a_control_says_what_its_field_says(form: Form) -> None:
    mixer: Any = form["denoiser.mixer"]
    assert [value for _, value in mixer.choices] == ["", *get_args(Mixer)]
    assert mixer.label == "Mixer"
    assert str(DenoiserSettings.model_fields["mixer"].description)[1:] in mixer.info
    channels: Any = form["vae.channels"]
    assert channels.placeholder == "16,32"  # of the preset
    batch: Any = form["vae.batch_size"]
    assert batch.info.endswith("(1 to 4096)")
    rate: Any = form["vae.learning_rate"]
    assert rate.info.endswith("(above 0 to 1)")
    start: Any = form[INIT]
    assert start.choices == [("nothing", ""), ("faces", "faces"), ("digits", "digits")]


MOST = 8  # controls in a fold: what a phone shows on about one screen and a half


def test_folds_are_short_and_closed(form: Form) -> None:
    def fold_of(control: Any) -> gr.Accordion:
        return control if isinstance(control, gr.Accordion) else fold_of(control.parent)

    folds = [fold_of(control) for control in form.values()]
    assert [*dict.fromkeys(fold.label for fold in folds)] == [*GROUPS]
    assert not any(fold.open for fold in folds)
    assert max(Counter(fold.label for fold in folds).values()) <= MOST


def test_all_of_it_left_as_it_is_is_the_preset(form: Form) -> None:
    left = Order.of("tiny", **{place: control.value for place, control in form.items()})
    assert left == Order(preset="tiny")


@pytest.mark.parametrize("preset", PRESETS)
def test_values_that_stand_there_go_with_the_preset_and_the_checkpoint(
    form: Form, preset: str, class_checkpoint: Path
) -> None:
    def standing(start: Path | None) -> dict[str, Any]:
        return dict(zip(form, preset_values(form, preset, start), strict=True))

    alone, started = standing(None), standing(class_checkpoint)
    request = Order(preset=preset).request(Path("out"))
    assert alone["size"]["placeholder"] == str(request.size)
    assert alone["denoiser.channels"]["placeholder"] == ",".join(map(str, request.denoiser.channels))
    assert alone["codec"]["choices"][0] == (f"as it is: {request.codec}", "")
    assert started["size"]["placeholder"] == "32"  # pixels of the checkpoint's pictures
    assert started["codec"]["choices"][0] == ("as it is: pixel", "")


@pytest.mark.parametrize(
    ("place", "typed", "option"),
    [
        ("codec", "pixel", "--codec=pixel"),
        ("classes", "folder", "--classes=folder"),
        ("denoiser.schedule", "cosine", "--denoiser-schedule=cosine"),
        ("denoiser.prediction", "eps", "--denoiser-prediction=eps"),
        ("denoiser.channels", " 64,128 ", "--denoiser-channels=64,128"),
        ("vae.kl_weight", "1e-3", "--vae-kl-weight=1e-3"),
        ("flips", "true", "--flips"),
        ("flips", "false", "--no-flips"),
    ],
)
def test_the_command_gets_what_is_requested(place: str, typed: str, option: str) -> None:
    assert option in Order.of("quick", **{place: typed}).arguments(Path("out"), "cpu")


def test_what_is_left_empty_is_not_passed_on() -> None:
    told = [option.split("=")[0] for option in Order.of("quick").arguments(Path("out"), "cpu")]
    assert told == ["--preset", "--data", "--out", "--device", "--about", "--sample-every"]
