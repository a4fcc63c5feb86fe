"""The benchmark of training on more pictures than memory is for."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import pytest

from benchmarks import streaming
from benchmarks.results import Unmeasured


def test_memory_and_throughput_are_measured(call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    throughput = streaming.throughput
    monkeypatch.setattr(streaming, "throughput", lambda size: throughput(size, repeats=1, some=24, preset="tiny"))
    file = tmp_path / "streaming.json"
    outcome = call(streaming.main, "--pictures", 40, "--size", 16, "--json", file)
    assert outcome.status == 0, outcome.err
    found = {result["name"]: result for result in json.loads(file.read_text())}
    named = "streaming: 40 pictures of 16 pixels"
    assert 0.1 < found[f"{named}, resident, GB"]["value"] < 2
    assert found[f"{named}, resident, GB"]["target"] == "<= 2"
    assert found[f"{named}, decoded, GB"]["value"] == pytest.approx(40 * 3 * 16**2 / 1e9)
    for stage in ("vae", "denoiser"):
        assert found[f"streaming: {stage}, steps from files / from memory"]["target"] == ">= 0.95"


def test_a_command_that_fails_is_not_measured() -> None:
    with pytest.raises(Unmeasured, match="the training command failed: no such thing"):
        streaming.resident([sys.executable, "-c", "raise SystemExit('no such thing')"])


def test_a_large_process_measures_a_small_one_as_small() -> None:
    large = bytearray(b"x") * 600_000_000
    assert streaming.resident([sys.executable, "-c", "pass"]) < 100_000_000 < len(large)


def test_generated_pictures_are_all_different(tmp_path: Path) -> None:
    streaming.generate(tmp_path / "x.zip", 1000, 16)
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert len({archive.read(name) for name in archive.namelist()}) == 1000
