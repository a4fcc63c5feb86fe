"""The benchmarks of speed, run small: who is compared, what comes out, and that verdicts follow the numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks import __main__ as front
from benchmarks import denoiser, serpentine
from benchmarks.results import Result
from benchmarks.timing import medians, ratio


def test_contestants_take_turns_and_warm_up_is_not_counted() -> None:
    order: list[str] = []
    seconds_of = medians({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, repeats=3, warmup=2)
    assert "".join(order) == "ab" * 5
    assert set(seconds_of) == {"a", "b"}


def test_a_ratio_is_of_neighbours_in_time() -> None:
    assert ratio([1, 2, 20], [2, 4, 40]) == 0.5
    assert ratio([1, 20, 30], [20, 40, 30]) == 0.5  # that of the medians would be 20 / 30
    with pytest.raises(ValueError, match="zip"):
        ratio([1.0], [1.0, 2.0])


def test_verdicts_follow_the_limit() -> None:
    assert [Result.at_least("x", value, 2).ok for value in (1.9, 2, 2.1)] == [False, True, True]
    assert [Result.at_most("x", value, 2).ok for value in (1.9, 2, 2.1)] == [True, True, False]


def test_one_claim_alone_or_all_are_measured(call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    claims = {name: lambda name=name: [Result.at_least(name, 1.0, 0.5)] for name in ("first", "second")}
    monkeypatch.setattr(front, "CLAIMS", claims)
    for arguments, expected in ((["--only", "second"], ["second"]), ([], ["first", "second"])):
        file = tmp_path / "results.json"
        assert call(front.main, *arguments, "--json", file).status == 0
        assert [result["name"] for result in json.loads(file.read_text())] == expected
    outcome = call(front.main, "--only", "third")
    assert outcome.status == 2
    assert "'third'" in outcome.err


def test_the_serpentine_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serpentine, "FASTER", {4: 1.0, 8: 0.0})
    monkeypatch.setattr(serpentine, "GROWTH", (4, 8, 16))
    monkeypatch.setattr(serpentine, "STEP_FRACTIONS", {4: 0.2, 8: 1.0})
    monkeypatch.setattr(serpentine, "TOKENS", 64)
    rows = [
        *serpentine.beside_attention(1),
        *serpentine.growth(1),
        *serpentine.step_fraction("tiny", batch=4, repeats=1),
    ]
    judged = {row.name: row for row in rows if row.ok is not None}
    assert len(judged) == 6
    assert judged["serpentine block, 64 tokens, batch 1: times faster than attention"].ok
    saved = next(row for name, row in judged.items() if "saved activations" in name)
    assert saved.ok
    assert 0.5 < saved.value < 1.1


def test_the_slope_is_that_of_the_exponent() -> None:
    assert serpentine.slope([1, 10, 100], [2.0, 200.0, 20_000.0]) == pytest.approx(2)


def test_the_rows_of_a_denoiser_call(tiny_checkpoint: Path) -> None:
    rows = {row.name: row.value for row in denoiser.measure(tiny_checkpoint, repeats=1)}
    work = [value for name, value in rows.items() if "arithmetic" in name]
    assert work[1] == pytest.approx(8 * work[0], rel=0.01)
    assert all(value > 0 for value in rows.values())


def test_the_matrix_products_inside_a_network() -> None:
    network = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.Flatten(), nn.Linear(80, 7))
    products, numbers = denoiser.inside(network, torch.randn(2, 3, 4, 4))
    assert products == [(32, 27, 5), (2, 80, 7)]
    assert numbers == 2 * 5 * 16 + 2 * 7
    assert denoiser.arithmetic(products) == 2 * (32 * 27 * 5 + 2 * 80 * 7)
