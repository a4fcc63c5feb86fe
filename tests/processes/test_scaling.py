"""The scaling benchmark: what it projects, and that two processes can be timed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import scaling
from benchmarks.claims import CLAIMS
from benchmarks.subject import new_denoiser, settings_of
from ddpm_core.training.presets import PRESETS


def values(file: Path) -> dict[str, float]:
    return {result["name"]: result["value"] for result in json.loads(file.read_text())}


def test_projected_efficiency_is_work_over_work_and_sending() -> None:
    results = {result.name: result.value for result in scaling.projections(2.0, 10**9, [4], [8.0])}
    # 1 GB of gradients, 1.5 times over a link of 1 GB/s: 1.5 s beside 0.5 s of a shared batch, or 2 s of one's own.
    assert results["scaling, projected, 4 machines, 8 Gbit/s, one batch shared"] == pytest.approx(0.25)
    assert results["scaling, projected, 4 machines, 8 Gbit/s, a batch each"] == pytest.approx(2 / 3.5)
    assert results["scaling, gradients averaged per step, MB"] == 1000


def test_two_processes_are_timed_against_one_and_projected_from(
    call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    file = tmp_path / "scaling.json"
    command = ["--preset", "tiny", "--repeats", 1, "--machines", 3, "--gigabits", 1, "--json", file]
    assert call(scaling.main, *command).status == 0
    found = values(file)
    one, two = (found[f"scaling, step of {count} of 1 thread, s"] for count in ("1 process", "2 processes"))
    assert found["scaling, efficiency of 2 processes on this machine"] == pytest.approx(one / (2 * two))
    gradients = 4 * sum(parameter.numel() for parameter in new_denoiser("tiny", settings_of("tiny")).parameters())
    assert scaling.gradient_bytes("tiny") == gradients
    sending = 2 * 2 / 3 * gradients * 8 / 1e9
    assert found["scaling, projected, 3 machines, 1 Gbit/s, a batch each"] == pytest.approx(one / (one + sending))


def test_a_step_measured_elsewhere_can_be_projected_from(call, tmp_path: Path) -> None:
    file = tmp_path / "scaling.json"
    assert call(scaling.main, "--preset", "tiny", "--step-seconds", 0.5, "--json", file).status == 0
    assert not any("process" in name for name in values(file))
    assert all(0 < value < 1 for name, value in values(file).items() if "projected" in name)


def test_an_unknown_preset_is_refused_in_a_line(call) -> None:
    outcome = call(scaling.main, "--preset", "huge")
    assert outcome.status == 2
    assert all(name in outcome.err for name in PRESETS)


def test_it_is_a_claim_and_timing_leaves_this_process_as_it_was() -> None:
    assert CLAIMS["scaling"] is scaling.measure
    assert not torch.distributed.is_initialized()
