"""What the app and the default number of steps are measured by, run small: rows come out, and bounds decide."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import torch

from benchmarks import start_up, steps, studio
from benchmarks.results import Result, Unmeasured
from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import CheckpointError
from tests.benchmarks.test_benchmarks import by_name


def named(results: list[Result]) -> dict[str, Result]:
    return {result.name: result for result in results}


# The app


def test_a_picture_through_the_page_has_previews_and_is_judged_by_the_ratio(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.components.progress.PREVIEW_SECONDS", 0.0)
    monkeypatch.setattr("ui.components.progress.PREVIEW_FRACTION", math.inf)
    results = named(studio.picture(tiny_checkpoint, steps=5, repeats=1))
    ratio = results["app: picture, app / pipeline"]
    assert ratio.value == results["app: picture, app, s"].value / results["app: picture, pipeline, s"].value
    assert ratio.ok is (ratio.value <= studio.TIMES_PIPELINE)
    assert results["app: previews per picture"].value == 4  # after every step but the last


def test_a_page_that_fails_is_no_measurement(tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.tabs.generate.save", lambda *_: 1 / 0)
    with pytest.raises(Unmeasured, match="the page failed: Something went wrong here"):
        studio.picture(tiny_checkpoint, steps=2, repeats=1)


def test_a_stroke_is_followed_to_its_draft_by_the_way_of_the_page(
    own_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = checkpoint.read_config(own_checkpoint)  # one that knows faces opens with a picture to paint on
    checkpoint.write_config(own_checkpoint, config.model_copy(update={"framing": "face"}))
    calls = []

    def watched(*given, called=studio.called):
        calls.append(called(*given))
        return calls[-1]

    monkeypatch.setattr(studio, "called", watched)
    (result,) = studio.draft(own_checkpoint, repeats=1)
    assert result.name == "app: live draft, s"
    assert result.target == "<= 1"
    assert result.ok is (result.value <= 1)
    assert len(calls) == 3  # two of them to warm up
    for messages in calls:  # a picture for each, although it is the same stroke
        assert messages[-1]["msg"] == "process_completed"
        assert re.search(r"inpainted-[^/]+-own-seed-1\.png", str(messages[-1]["output"]))


def test_a_stroke_without_a_draft_is_no_measurement(tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.tabs.inpaint.is_new", lambda *_: False)
    with pytest.raises(Unmeasured, match="no draft"):
        studio.draft(tiny_checkpoint, repeats=1)


def test_the_first_page_is_waited_for_and_an_app_that_ends_is_reported(tiny_checkpoint: Path, tmp_path: Path) -> None:
    start_up.first_page(tiny_checkpoint)  # an error if it does not come
    with pytest.raises(Unmeasured, match="is not there"):
        start_up.first_page(tmp_path / "nosuch")


def test_start_up_is_judged_by_its_ratios(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_up, "medians", lambda contestants, repeats, warmup: {"imports": 2.0, "first page": 3.1})
    monkeypatch.setattr(start_up, "presses", lambda checkpoint: (3.0, 2.0))
    results = named(start_up.start_up())
    page, press = (results[f"start-up: {name}"] for name in ("first page / imports", "first press / later ones"))
    assert (page.value, page.ok) == (1.55, False)
    assert (press.value, press.ok) == (1.5, True)


def test_a_first_press_is_timed_beside_later_ones(tiny_checkpoint: Path) -> None:
    assert min(start_up.presses(tiny_checkpoint, later=1)) > 0


# Steps


NAMES = ("default", "DDPM")


@pytest.mark.parametrize("with_data", [False, True])
def test_steps_are_compared_with_data_or_without(
    call, tiny_checkpoint: Path, picture_folder: Path, tmp_path: Path, with_data: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def watched(model, count, seed=0, request=None, sample=steps.sample):
        calls.append((seed, count, request and (request.sampler, request.steps)))
        quick = request and request.model_copy(update={"steps": 3})
        return sample(model, count, seed, quick)

    monkeypatch.setattr(steps, "sample", watched)
    data = ["--data", picture_folder] if with_data else []
    file = tmp_path / "steps.json"
    outcome = call(steps.main, "--checkpoint", tiny_checkpoint, "--pictures", 2, "--json", file, *data)
    assert outcome.status == 0, outcome.err
    assert calls == [(0, 2 * steps.SETS, None), (2 * steps.SETS, 2, ("ddpm", 999))]
    results = by_name(file)
    loss = next(iter(results.values()))
    assert loss["target"] == "<= 1.05"
    kind = "to training pictures" if with_data else "to the default's sets"
    default, ddpm = ([results[f"steps: {name}, swd {kind}, level {i}"]["value"] for i in (0, 1)] for name in NAMES)
    over, under = (default, ddpm) if with_data else (ddpm, default)
    assert loss["value"] == pytest.approx(sum(a / b for a, b in zip(over, under, strict=True)) / 2)


@pytest.mark.parametrize(
    ("loss", "error", "ok"), [(1.0, 0.01, True), (1.2, 0.01, False), (1.04, 0.01, None), (1.2, 0.1, None)]
)
def test_a_loss_within_the_error_of_its_limit_is_left_open(loss: float, error: float, ok: bool | None) -> None:
    assert steps.judged("loss", loss, error).ok is ok


def test_the_error_is_the_spread_of_sets_alike() -> None:
    assert steps.standard_error(torch.tensor([[1.0, 10.0], [1.0, 10.0]])) == 0
    assert steps.standard_error(torch.tensor([[0.9, 9.0], [1.1, 11.0]])) == pytest.approx(0.1 * 2**0.5 * 1.5**0.5)


def test_digits_of_the_default_are_read_beside_those_of_a_thousand_steps(
    class_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def recorded(model, count, request):
        calls.append((count, request.sampler, request.steps))
        return request.sampler

    monkeypatch.setattr(steps, "sample_classes", recorded)
    monkeypatch.setattr(
        steps, "classifier_accuracy", lambda reader, pictures: {"dpm-solver++": 0.8, "ddpm": 0.9}[pictures]
    )
    loss, *accuracies = steps.class_accuracy(class_checkpoint, 2)
    assert calls == [(6, "dpm-solver++", 20), (6, "ddpm", 999)]
    assert (loss.value, loss.target, loss.ok) == (0.9 / 0.8, "<= 1.05", False)
    assert [accuracy.value for accuracy in accuracies] == [0.8, 0.9, 6]


def test_steps_of_no_checkpoint_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        steps.measure(tmp_path)
