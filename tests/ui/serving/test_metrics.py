"""What is told of the app: whether it is ready, numbers, and a line a request."""

from __future__ import annotations

import json
import logging

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ddpm_core.pipeline import LatentDiffusion
from ui.serving.metrics import Metrics
from ui.serving.turns import MACHINE


def test_healthz_says_503_until_the_model_has_computed_and_when_the_app_closes(tiny_model: LatentDiffusion) -> None:
    metrics, app = Metrics(), FastAPI()
    metrics.attach(app)
    metrics.watch(lambda: 3, lambda: 1, lambda: 2)
    web = TestClient(app)
    answer = web.get("/healthz")
    assert (answer.status_code, answer.json()) == (503, {"status": "loading", "model": None, "waiting": 3})
    metrics.warmed_up(tiny_model)
    answer = web.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "model": tiny_model.name, "waiting": 3})
    metrics.closing = True
    assert (web.get("/healthz").status_code, web.get("/healthz").json()["status"]) == (503, "closing")


def test_it_is_measured_between_steps_how_fast_the_model_is(tiny_model: LatentDiffusion) -> None:
    """The first step has to begin, and the last to be drawn; neither is a call of the model."""
    times = iter([100.0, 100.5, 101.0, 101.5, 200.0, 201.0, 202.0, 203.0])  # alone, and four pictures in a batch
    assert Metrics().warmed_up(tiny_model, lambda: next(times)) == (0.5, 0.25)


def test_a_model_that_always_wants_a_class_computes_with_one(class_model: LatentDiffusion) -> None:
    metrics = Metrics()
    metrics.warmed_up(class_model)
    assert metrics.model == class_model.name


def test_kernels_are_waited_for_in_the_models_turn_so_that_nobody_compiles_them_twice(
    tiny_model: LatentDiffusion,
) -> None:
    metrics, seen = Metrics(), []
    metrics.warmed_up(tiny_model, compiled=lambda: seen.append((MACHINE._busy, metrics.model)))
    assert seen == [(True, None)]
    assert metrics.model == tiny_model.name


def test_metrics_count_and_the_log_has_a_line_for_each(caplog: pytest.LogCaptureFixture) -> None:
    metrics, app = Metrics(), FastAPI()
    metrics.attach(app)
    with caplog.at_level(logging.INFO, "studio.requests"):
        metrics.done("inpaint", "done", 0.5, 2.0, 21)
        metrics.refused("edit", "full")
    text = TestClient(app).get("/metrics").text
    assert 'studio_requests_total{kind="inpaint",outcome="done"} 1.0' in text
    assert 'studio_request_seconds_sum{kind="inpaint"} 2.0' in text
    assert 'studio_refusals_total{reason="full"} 1.0' in text
    first, second = (json.loads(record.message) for record in caplog.records)
    assert first.pop("at") <= second.pop("at")
    assert first == {"kind": "inpaint", "outcome": "done", "waited": 0.5, "seconds": 2.0, "calls": 21}
    assert second == {"kind": "edit", "outcome": "refused", "reason": "full"}
