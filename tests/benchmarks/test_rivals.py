"""What ours is timed beside: as large as ours, of the same shape, and it works."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks import __main__ as benchmarks
from benchmarks import claims, pipeline, training_step
from benchmarks.matching import as_large_as, parameters
from benchmarks.results import Result, Unmeasured
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.networks.unet import UNet
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest
from ddpm_core.training.settings import DenoiserSettings
from tests.benchmarks.test_benchmarks import by_name
from tests.command_lines import assert_refused

SHIPPED = Path(__file__).resolve().parents[2] / pipeline.CHECKPOINT


def named(results: list[Result]) -> dict[str, Result]:
    return {result.name: result for result in results}


@pytest.mark.parametrize(("goal", "width"), [(1, 2), (24, 4), (30, 6), (31, 6), (10**4, 100)])
def test_the_width_is_the_one_whose_size_is_nearest(goal: int, width: int) -> None:
    found = as_large_as(goal, lambda width: nn.Linear(width, width, bias=False), step=2)
    assert found.in_features == width


# A picture


@pytest.fixture(scope="module")
def shipped() -> LatentDiffusion:
    return LatentDiffusion.load(SHIPPED, "cpu")


def test_the_other_pipeline_is_as_large_as_the_shipped_one_and_attends(shipped: LatentDiffusion) -> None:
    rival = pipeline.matched(shipped)
    assert parameters(rival.unet) == pytest.approx(pipeline.predicting(shipped), rel=0.05)
    assert parameters(rival.vae.decoder) == pytest.approx(parameters(shipped.codec.decoder), rel=0.3)
    assert any("Attention" in type(module).__name__ for module in rival.unet.modules())
    assert not any(module.training for module in [rival.unet, rival.vae])


def test_the_other_pipeline_makes_pictures_of_the_same_size_in_as_many_calls(tiny_model: LatentDiffusion) -> None:
    rival, calls = pipeline.matched(tiny_model), []
    rival.unet.register_forward_hook(lambda *_: calls.append(1))
    (made,) = pipeline.pictures(rival, GenerateRequest(steps=3))
    assert made.size == (tiny_model.size, tiny_model.size)
    assert len(calls) == 3


def test_a_picture_is_timed_by_both_and_judged_by_the_ratio(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit, ok in [(0.0, True), (float("inf"), False)]:
        monkeypatch.setattr(pipeline, "TIMES_FASTER", limit)
        results = named(pipeline.measure(tiny_checkpoint, steps=2, repeats=1))
        ratio = results["picture: theirs / ours"]
        assert ratio.ok is ok
        assert ratio.value == results["picture: theirs, s"].value / results["picture: ours, s"].value


# A training step


def test_the_other_unet_is_as_large_as_ours_and_predicts_the_same_shape() -> None:
    settings = DenoiserSettings()
    ours = UNet(8, settings.channels, settings.blocks)
    theirs = training_step.matched(ours)
    assert parameters(theirs) == pytest.approx(parameters(ours), rel=0.05)
    latents, t = torch.randn(2, 8, 16, 16), torch.tensor([1, 999])
    with torch.inference_mode():
        assert theirs(latents, t).shape == ours(latents, t).shape


def test_what_is_not_needed_is_absent_only_while_importing() -> None:
    before = {name: sys.modules.get(name) for name in training_step.NOT_NEEDED}
    training_step.their_unet()
    assert {name: sys.modules.get(name) for name in training_step.NOT_NEEDED} == before


def test_the_plain_loss_of_a_perfect_predictor_is_nothing_and_of_none_is_one() -> None:
    diffuser, clean = Diffuser(), torch.zeros(64, 4, 8, 8)

    class Knowing(nn.Module):
        def forward(self, noisy: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            return noisy / diffuser.signal_and_noise(t, noisy)[1]  # nothing but noise is there

    assert training_step.plain_loss(Knowing(), clean, diffuser)["loss"].item() == pytest.approx(0, abs=1e-6)

    class Silent(nn.Module):
        def forward(self, noisy: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            return torch.zeros_like(noisy)

    assert training_step.plain_loss(Silent(), clean, diffuser)["loss"].item() == pytest.approx(1, abs=0.05)


def test_a_training_step_is_judged_by_the_fastest_setting_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_step, "precisions", lambda: ["fp32", "bf16"])
    results = named(training_step.measure("tiny", repeats=1))
    seconds = {name: result.value for name, result in results.items() if name.endswith(", s")}
    fastest = {who: min(value for name, value in seconds.items() if f": {who}," in name) for who in ("ours", "theirs")}
    assert len(seconds) == 6
    ratio = results["training step: theirs / ours"]
    assert ratio.value == fastest["theirs"] / fastest["ours"]
    assert ratio.ok is (ratio.value >= training_step.TIMES_FASTER)


def test_a_package_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_step, "PACKAGE", "no_such_package")
    with pytest.raises(Unmeasured, match=r"no_such_package is not installed; pip install --no-deps"):
        training_step.their_unet()


def test_a_claim_that_cannot_be_measured_does_not_keep_others_from_it(
    call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> list[Result]:
        raise Unmeasured("A thing is not installed.")

    monkeypatch.setattr(claims, "CLAIMS", {"a": missing, "b": lambda: [Result.at_most("size", 1, 2)]})
    monkeypatch.setattr(benchmarks, "CLAIMS", claims.CLAIMS)
    outcome = call(benchmarks.main, "--json", tmp_path / "r.json")
    assert outcome.status == 2
    assert outcome.err.splitlines()[-1] == "Error: a: A thing is not installed."
    assert by_name(tmp_path / "r.json")["size"]["ok"] is True
    assert_refused(call(benchmarks.main, "--only", "c"), "'c'", "a, b")
