"""The benchmarks, run small: what they print, write and claim."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks import locality, memory, subject, training_step
from benchmarks.results import Result, report
from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.networks.unet import UNet
from ddpm_core.networks.vae import VAE
from tests.command_lines import assert_refused


def by_name(file: Path) -> dict[str, dict]:
    results = json.loads(file.read_text())
    assert all(set(result) == {"name", "value", "target", "ok"} for result in results)
    return {result["name"]: result for result in results}


def test_results_are_a_table_and_a_json_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report([Result("speed", 2.5, "> 3", False), Result("size", 7.0)], tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text()) == [
        {"name": "speed", "value": 2.5, "target": "> 3", "ok": False},
        {"name": "size", "value": 7.0, "target": None, "ok": None},
    ]
    assert "MISSED" in capsys.readouterr().out


# Locality


def test_our_decoder_is_local_and_the_one_it_is_compared_with_is_not(
    call, tiny_checkpoint: Path, picture_folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "locality.json"
    arguments = ["--checkpoint", tiny_checkpoint, "--data", picture_folder, "--cells", 4, "--json", file]
    outcome = call(locality.main, *arguments)
    assert outcome.status == 0
    results = by_name(file)
    ours, theirs = (results[f"{name}: farthest changed pixel"] for name in ("ours", "AutoencoderKL"))
    assert ours["ok"] is True
    assert ours["value"] < 16 <= theirs["value"]  # pictures of 32 pixels: everything moves in one, little in the other
    assert results["ours: share of the change within 3x3 cells"]["ok"] is None
    assert "random weights" in outcome.out


def test_the_other_decoder_has_the_same_stride_and_about_as_many_parameters() -> None:
    ours = VAE(latent_channels=6, channels=(32, 48, 64), full_width=16)
    theirs = locality.matched(ours)
    assert locality.parameters(theirs.decoder) == pytest.approx(locality.parameters(ours.decoder), rel=0.3)
    image = torch.rand(1, 3, 32, 32)
    assert theirs.encode(image).shape == ours.encode(image).shape == (1, 6, 4, 4)
    assert theirs.decode(theirs.encode(image)).shape == image.shape
    assert any(isinstance(module, nn.GroupNorm) for module in theirs.decoder.modules())


def test_the_other_decoder_can_be_trained_first_and_is_then_judged(
    call, tiny_checkpoint: Path, picture_folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "locality.json"
    arguments = ["--checkpoint", tiny_checkpoint, "--data", picture_folder, "--cells", 2, "--json", file]
    outcome = call(locality.main, *arguments, "--train-steps", 2)
    assert outcome.status == 0
    assert by_name(file)["ours: share of the change within 3x3 cells"]["ok"] is not None
    assert "trained for 2 steps" in outcome.out


def test_locality_refuses_what_is_no_checkpoint_in_a_line(call, picture_folder: Path, tmp_path: Path) -> None:
    assert_refused(call(locality.main, "--checkpoint", tmp_path, "--data", picture_folder), checkpoint.CONFIG)


# Memory


@pytest.mark.parametrize(("preset", "channels", "stride"), [("faces", 8, 8), ("digits", 12, 2), ("tiny", 4, 4)])
def test_a_presets_network_is_for_the_latents_of_its_own_codec(preset: str, channels: int, stride: int) -> None:
    codec = subject.codec_of(preset)
    assert (codec.latent_channels, codec.stride) == (channels, stride)


@pytest.mark.parametrize(("preset", "channels", "cells"), [("digits", 12, 16), ("tiny", 4, 8)])
def test_what_is_counted_and_timed_under_a_presets_name_is_its_network_on_its_grid(
    preset: str, channels: int, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[tuple[int, int]] = []

    class Requested(Exception):
        pass

    def requested(unet: UNet, batch: int, side: int) -> None:
        sizes.append((unet.latent_channels, side))
        raise Requested

    monkeypatch.setattr(memory, "random_latents", requested)
    monkeypatch.setattr(training_step, "random_latents", requested)
    monkeypatch.setattr(training_step, "matched", lambda ours: nn.Identity())
    with pytest.raises(Requested):
        memory.measure(preset, size=32)
    with pytest.raises(Requested):
        training_step.measure(preset)
    assert sizes == [(channels, cells)] * 2


def test_memory_is_counted_by_part_and_grows_with_the_batch_alone(call, tmp_path: Path) -> None:
    counted = []
    for batch in (4, 8):
        file = tmp_path / f"{batch}.json"
        assert call(memory.main, "--preset", "tiny", "--size", 32, "--batch", batch, "--json", file).status == 0
        counted.append({name: result["value"] for name, result in by_name(file).items()})
    small, large = counted
    saved = "training memory, kept for backward, by the batch, MB"
    assert large[saved] == pytest.approx(2 * small[saved])
    for name in ("weights", "gradients", "moving average", "optimiser"):
        named = f"training memory, {name}, MB"
        assert small[named] == large[named] > 0
    assert small["training memory, optimiser, MB"] == 2 * small["training memory, weights, MB"]
    total = small.pop("training memory, total, MB")
    assert total == pytest.approx(sum(small.values()))


def test_a_total_above_the_limit_is_reported_as_missed(call, tmp_path: Path) -> None:
    file = tmp_path / "memory.json"
    assert call(memory.main, "--preset", "tiny", "--size", 32, "--batch", 1, "--limit", 0, "--json", file).status == 0
    assert by_name(file)["training memory, total, MB"]["ok"] is False


@pytest.mark.parametrize(("arguments", "word"), [(["--preset", "none"], "tiny"), (["--size", "30"], "30")])
def test_memory_refuses_what_cannot_be_counted_in_a_line(call, arguments: list[str], word: str) -> None:
    assert_refused(call(memory.main, *arguments), word)
