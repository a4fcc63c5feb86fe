"""The examples of docs/extending.md do what they say."""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.noise import SeededNoise
from ddpm_core.diffusion.prediction import Prediction
from ddpm_core.diffusion.samplers import last, sample_loop
from ddpm_core.images.files import read_parameters
from ddpm_core.pipeline import LatentDiffusion
from tests.predictors import of_noise

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "extending.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
CHANGES = re.findall(r"```diff\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture(scope="module")
def ran(tiny_checkpoint: Path) -> dict[str, Any]:
    """What the page's examples define, run one after the other with a small model in the big one's place."""
    names: dict[str, Any] = {"__name__": "extending"}
    with pytest.MonkeyPatch.context() as patch:
        load = LatentDiffusion.load
        patch.setattr(LatentDiffusion, "load", lambda folder: load(tiny_checkpoint, "cpu"))
        for number, block in enumerate(BLOCKS):
            exec(compile(block, f"{PAGE.name}, example {number}", "exec"), names)
    return names


def test_the_examples_run_and_make_pictures(ran: dict[str, Any]) -> None:
    assert len(BLOCKS) == 4
    for name in ("picture", "either_way_up"):
        assert isinstance(ran[name], Image.Image)
        assert ran[name].size == (32, 32)


def test_the_example_of_a_sampler_has_the_order_it_claims(ran: dict[str, Any]) -> None:
    diffuser, z = Diffuser(20_001, 5e-6, 1e-3), torch.tensor([[[[-1.0, 0.5]]]], dtype=torch.float64)

    @of_noise
    def best(noisy: Tensor, t: Tensor) -> Tensor:  # of data N(0, 0.5^2)
        signal, noise = diffuser.signal_and_noise(t, noisy)
        return noise * noisy / ((signal * 0.5) ** 2 + noise**2)

    left = diffuser.alpha_bar[[16_000, 2_000]]
    deviation = (0.25 * left + 1 - left).sqrt()
    errors = []
    for steps in (25, 50, 100):
        timesteps = torch.linspace(16_000, 2_000, steps + 1).int().tolist()
        sampled = last(sample_loop(ran["midpoint_step"], best, diffuser, timesteps, lambda: z)).latent
        errors.append((sampled - z * deviation[1] / deviation[0]).abs().max().item())
    for coarse, fine in pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(2, abs=0.3)


def test_the_example_of_a_wrapper_scales_the_noise(ran: dict[str, Any]) -> None:
    noisy, t = torch.randn(2, 4, 8, 8), torch.tensor([5, 500])
    scaled = ran["eps_scaled"](lambda z, t: Prediction(2 * z, 0.3 * z), 4.0)(noisy, t)
    torch.testing.assert_close(scaled.eps, noisy / 2)
    torch.testing.assert_close(scaled.variance, 0.3 * noisy)


def changed(file: Path, before: str, after: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{before!r} is to be in {file.name} once"
    file.write_text(text.replace(before, after), encoding="utf-8")


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the package in which is done what the page says."""
    folder = tmp_path_factory.mktemp("extended")
    package = shutil.copytree(ROOT / "ddpm_core", folder / "ddpm_core", ignore=shutil.ignore_patterns("__pycache__"))
    for name, table, block in (("samplers", "SAMPLERS", BLOCKS[0]), ("guidance", "WRAPPERS", BLOCKS[2])):
        changed(package / "diffusion" / f"{name}.py", f"\n{table}:", f"\n{block}\n\n{table}:")
    for change in CHANGES:
        for name, hunk in re.findall(r"^--- (\S+)\n((?:(?!--- ).*\n)+)", change, flags=re.MULTILINE):
            before, after = (re.sub(rf"^[{gone}].*\n", "", hunk, flags=re.MULTILINE) for gone in ("+", "-"))
            before, after = (re.sub("^.", "", text, flags=re.MULTILINE) for text in (before, after))
            changed(folder / name, before, after)
    return folder


def test_the_lines_on_the_page_are_all_it_takes_to_choose_them_from_the_shell(
    ran: dict[str, Any], extended: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    assert len(CHANGES) == 2
    choices = ["--seed", "7", "--steps", "4", "--sampler", "midpoint", "--eps-scale", "1.1", "--device", "cpu"]
    command = [sys.executable, "-m", "ddpm_core.sample", *choices, "--checkpoint", tiny_checkpoint, "--out", tmp_path]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=extended, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    parameters = read_parameters(tmp_path / "7.png")
    assert (parameters["sampler"], parameters["eps_scale"]) == ("midpoint", 1.1)

    model = LatentDiffusion.load(tiny_checkpoint, "cpu")
    pictures = {}
    for rule in ("midpoint_step", "ddim_step"):
        for scale in (1.0, 1.1):
            predict, timesteps = ran["eps_scaled"](model.predict, scale), model.diffuser.spaced_timesteps(4)
            steps = sample_loop(ran[rule], predict, model.diffuser, timesteps, SeededNoise([7], (4, 8, 8)))
            with torch.inference_mode():
                pictures[rule, scale] = np.asarray(model.pictures(last(steps).latent)[0]).astype(int)
    sampled = np.asarray(Image.open(tmp_path / "7.png")).astype(int)
    off = {rule: np.abs(sampled - picture).max() for rule, picture in pictures.items()}
    assert off.pop(("midpoint_step", 1.1)) <= 1
    assert min(off.values()) > 1


def test_nothing_of_it_needs_a_change_in_the_pipeline() -> None:
    assert not any("ddpm_core/pipeline" in change for change in CHANGES)


def test_every_file_and_registry_the_page_names_is_there() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert (PAGE.parent / target).exists(), target
    for registry, file in re.findall(r"`([A-Z]+)` in \[\w+\.py\]\(([^)]+)\)", text):
        assert re.search(rf"^{registry}: ", (PAGE.parent / file).read_text(encoding="utf-8"), re.MULTILINE)
