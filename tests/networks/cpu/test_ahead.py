"""Kernels compiled beside what will need them: all that inference calls, once, and only if they are missing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ddpm_core.networks.cpu import ahead

ROOT = Path(__file__).resolve().parents[3]
# What a process does that starts with an empty cache: it has kernels compiled by another one, and makes a picture.
BESIDE = """
import sys
from ddpm_core.networks.cpu import ahead
assert not ahead.are_compiled()
assert "torch" not in sys.modules
compiling = ahead.start()
from ddpm_core import GenerateRequest, LatentDiffusion, last
assert compiling.wait(300) == 0
assert ahead.are_compiled()
assert ahead.start() is None
model = LatentDiffusion.load(sys.argv[1], "cpu")
model.pictures(last(model.generate(GenerateRequest(steps=1))).latent)
from ddpm_core.networks.cpu import kernels
for kernel in (kernels.scan, kernels.norm_silu):
    print(len(kernel.stats.cache_hits), len(kernel.stats.cache_misses))
"""


@pytest.mark.integration
def test_a_process_that_makes_a_picture_compiles_nothing_that_was_compiled_beside_it(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    made = subprocess.run(
        [sys.executable, "-c", BESIDE, str(tiny_checkpoint)],
        env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (made.returncode, made.stdout.split()) == (0, ["1", "0", "1", "0"]), made.stderr


def test_what_was_compiled_before_the_code_was_changed_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert not ahead.are_compiled()
    for name in ahead.CALLED:
        assert not ahead.are_compiled()
        file = tmp_path / "cpu_1" / f"kernels.{name}-1.py3.nbi"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"")
        later = time.time() + 100
        os.utime(file, (later, later))
    assert ahead.are_compiled()
    os.utime(file, (1, 1))
    assert not ahead.are_compiled()


@pytest.mark.integration
def test_without_a_process_for_it_they_are_compiled_when_they_are_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    assert ahead.start() is None
    monkeypatch.setattr(sys, "executable", "")
    assert ahead.start() is None
