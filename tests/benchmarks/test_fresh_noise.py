"""Where fresh noise helps: a row for every way, and what its numbers are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from benchmarks import fresh_noise
from ddpm_core.requests import GenerateRequest


def test_of_latents_the_spread_is_that_of_their_means_and_fine_what_varies_within_them() -> None:
    flat = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 2, 8, 8)
    assert fresh_noise.measured(flat) == (pytest.approx(5 / 3), pytest.approx(0, abs=1e-9))
    checkered = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(4, 4).expand(4, 2, 8, 8)
    assert fresh_noise.measured(checkered) == (pytest.approx(0, abs=1e-9), pytest.approx(1))


@pytest.mark.parametrize("way", fresh_noise.WAYS)
def test_every_way_is_one_that_can_be_asked_for(way: str) -> None:
    GenerateRequest(**fresh_noise.WAYS[way])


def test_a_row_is_printed_for_every_way(
    call, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = {way: {**choices, "steps": 2} for way, choices in list(fresh_noise.WAYS.items())[:2]}
    monkeypatch.setattr(fresh_noise, "WAYS", ways)
    lines = ["file,split"]
    for number in range(30):
        Image.effect_noise((32, 32), 8 * number + 1).convert("RGB").save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,{'val' if number % 2 else 'train'}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    command = ["--checkpoint", tiny_checkpoint, "--data", tmp_path, "--pictures", 8, "--device", "cpu"]
    outcome = call(fresh_noise.main, *command)
    assert outcome.status == 0, outcome.err
    head, _, first, second = outcome.out.splitlines()
    assert head == "| fresh noise | spread | fine power | patch distance / floor |"
    assert first.startswith("| none, 20 steps |")
    assert second.startswith("| in every step, 20 steps |")
    assert first.split("|")[2:] != second.split("|")[2:]
