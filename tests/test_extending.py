"""The examples of docs/extending.md do what they say."""

from __future__ import annotations

import math
import re
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from ddpm_core.diffuser import Diffuser
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.samplers import last, reverse

PAGE = Path(__file__).resolve().parents[1] / "docs" / "extending.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


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

    def best(noisy: Tensor, t: Tensor) -> Tensor:  # of data N(0, 0.5^2)
        signal, noise = diffuser.signal_and_noise(t, noisy)
        return noise * noisy / ((signal * 0.5) ** 2 + noise**2)

    left = diffuser.alpha_bar[[16_000, 2_000]]
    deviation = (0.25 * left + 1 - left).sqrt()
    errors = []
    for steps in (25, 50, 100):
        timesteps = torch.linspace(16_000, 2_000, steps + 1).int().tolist()
        made = last(partial(reverse, ran["midpoint"])(best, diffuser, timesteps, lambda: z)).latent
        errors.append((made - z * deviation[1] / deviation[0]).abs().max().item())
    for coarse, fine in pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(2, abs=0.3)


def test_the_example_of_a_wrapper_scales_the_noise(ran: dict[str, Any]) -> None:
    noisy, t = torch.randn(2, 4, 8, 8), torch.tensor([5, 500])
    torch.testing.assert_close(ran["eps_scaled"](lambda z, t: 2 * z, 4.0)(noisy, t), noisy / 2)


def test_every_file_and_registry_the_page_names_is_there() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert (PAGE.parent / target).exists(), target
    for registry, file in re.findall(r"`([A-Z]+)` in \[\w+\.py\]\(([^)]+)\)", text):
        assert re.search(rf"^{registry}: ", (PAGE.parent / file).read_text(encoding="utf-8"), re.MULTILINE)
