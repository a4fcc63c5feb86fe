"""Training on pixels and with classes: the same stage, and what it writes."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ddpm_core.checkpoints import folders
from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.cli import merge
from ddpm_core.commands import sample, train
from ddpm_core.images.files import open_picture
from ddpm_core.networks.codec import PixelCodec
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.training.pictures import Pictures, read_pictures
from ddpm_core.training.presets import PRESETS
from ddpm_core.training.settings import TrainRequest
from ddpm_core.training.stages.denoiser import DenoiserStage
from ddpm_core.training.stages.run import run_stage, state_file
from tests.command_lines import assert_refused

DENOISER = {"channels": (32, 32), "blocks": 1, "mixer": "none", "warmup": 2, "batch_size": 3, "iterations": 6}


@pytest.fixture(scope="module")
def shades(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dark pictures of class 3, light ones of class 5, in MNIST's layout."""
    draw = np.random.default_rng(0)
    label = np.arange(60) % 2
    pixels = (40 + 170 * label)[:, None, None] + draw.integers(-20, 20, (60, 8, 8))
    path = tmp_path_factory.mktemp("data") / "shades.npz"
    given = {"x": pixels.astype(np.uint8), "y": (3 + 2 * label).astype(np.uint8)}
    np.savez(path, **{f"{name}_{part}": given[name] for name in given for part in ("train", "test")})
    return path


def request_for(data: Path, out: Path, **changes: Any) -> TrainRequest:
    common = {"size": 8, "codec": "pixel", "flips": True, "precision": "fp32", "device": "cpu", "denoiser": DENOISER}
    return TrainRequest.model_validate({"data": data, "out": out, **common, **changes})


def run_all(request: TrainRequest, pictures: Pictures, until: int | None = None) -> list[float]:
    """Run the denoiser's stage, or close it after step `until`; the losses."""
    losses = []
    with contextlib.closing(run_stage("denoiser", request, pictures)) as updates:
        for update in updates:
            losses.append(update.step.losses["loss"])
            if update.step.step == until:
                break
    return losses


@pytest.mark.integration
def test_a_run_on_pixels_learns_classes_from_the_command_line_to_the_samples(
    call, shades: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    flags = ["--size", 8, "--codec", "pixel", "--denoiser-channels", "32", "--denoiser-mixer", "none", "--views", 1]
    flags += ["--denoiser-blocks", 1, "--iterations", 150, "--batch-size", 16, "--denoiser-warmup", 10]
    flags += ["--denoiser-ema-decay", 0.9, "--precision", "fp32", "--denoiser-learning-rate", 3e-3]
    outcome = call(train.main, "--data", shades, "--out", out, "--device", "cpu", *flags)
    assert outcome.status == 0, outcome.err
    assert "60 pictures to train on, 60 held out." in outcome.out
    assert "2 classes: 3, 5." in outcome.out
    config = checkpoint.read_config(out)
    assert (config.codec, config.codec_settings, config.classes) == ("pixel", {"stride": 2}, ["3", "5"])
    assert config.denoiser["classes"] == 2
    assert list(config.training) == ["denoiser"]  # nothing was learned in the other stage
    assert folders.list_checkpoints(tmp_path) == ["run"]

    means = {}
    for label in ("3", "5"):
        made = call(sample.main, "--checkpoint", out, "--class", label, "--count", 4, "--out", tmp_path / label)
        assert made.status == 0, made.err
        means[label] = [np.asarray(open_picture(path)).mean() for path in sorted((tmp_path / label).iterdir())]
    assert max(means["3"]) < 90
    assert min(means["5"]) > 160


def test_six_steps_equal_three_an_interruption_and_three_more_bit_for_bit(shades: Path, tmp_path: Path) -> None:
    whole, broken = (request_for(shades, tmp_path / name) for name in ("whole", "broken"))
    pictures = read_pictures(whole)
    run_all(whole, pictures)
    run_all(broken, pictures, until=3)
    run_all(broken.model_copy(update={"resume": True}), pictures)
    states = [checkpoint.read_tensors(state_file(request.out, "denoiser"))[0] for request in (whole, broken)]
    assert states[0].keys() == states[1].keys()
    for name, tensor in states[0].items():
        assert torch.equal(tensor, states[1][name]), name
    for name in (checkpoint.CODEC_WEIGHTS, checkpoint.DENOISER_WEIGHTS, checkpoint.CONFIG):
        assert (whole.out / name).read_bytes() == (broken.out / name).read_bytes()


@pytest.mark.parametrize(("dropout", "learned"), [(0.0, [True, True, False]), (1.0, [False, False, True])])
def test_the_fraction_of_labels_dropped_reaches_the_network(
    shades: Path, tmp_path: Path, dropout: float, learned: list[bool]
) -> None:
    request = request_for(shades, tmp_path / "run", denoiser=DENOISER | {"label_dropout": dropout})
    run_all(request, read_pictures(request))
    names = [name for name, _ in checkpoint.load_denoiser(request.out).named_parameters()]
    state, _ = checkpoint.read_tensors(state_file(request.out, "denoiser"))
    gradients = state[f"optimizer.{names.index('label.weight')}.exp_avg"]
    assert (gradients.abs().sum(1) > 0).tolist() == learned


@pytest.mark.parametrize("preset", PRESETS)
def test_a_tenth_of_the_labels_is_dropped_unless_one_says_otherwise(tmp_path: Path, preset: str) -> None:
    request = TrainRequest.model_validate(merge({"data": "digits.npz", "out": tmp_path}, PRESETS[preset]))
    assert request.denoiser.label_dropout == 0.1  # Ho & Salimans 2022, section 4.2: best, beside 0.2


def test_mirror_images_keep_their_class(shades: Path, tmp_path: Path) -> None:
    request = request_for(shades, tmp_path / "run")
    stage = DenoiserStage.prepare(request, read_pictures(request))
    assert stage.train.labels is not None
    assert len(stage.train.labels) == len(stage.train.clean) == 120
    light = stage.codec.decode(stage.train.clean).mean((1, 2, 3)) > 0
    assert torch.equal(stage.train.labels.bool(), light)


def test_the_statistics_are_those_of_the_training_pictures(shades: Path, tmp_path: Path) -> None:
    request = request_for(shades, tmp_path / "run", pixel_stride=4)
    pictures = read_pictures(request)
    run_all(request, pictures, until=1)
    codec = checkpoint.load_codec(request.out)
    assert isinstance(codec, PixelCodec)
    assert codec.stride == 4
    latents = codec.encode(pictures.train.batch(torch.arange(60)))
    torch.testing.assert_close(latents.std((0, 2, 3)), torch.ones(48), rtol=1e-3, atol=1e-3)


def test_data_without_classes_trains_a_network_without_them(shades: Path, tmp_path: Path) -> None:
    request = request_for(shades, tmp_path / "run", classes="none")
    run_all(request, read_pictures(request), until=1)
    assert LatentDiffusion.load(request.out, "cpu").denoiser.label is None


def test_what_does_not_go_together_is_refused(call, shades: Path, tmp_path: Path) -> None:
    common = ["--data", shades, "--preset", "tiny", "--iterations", 1, "--device", "cpu", "--size", 8]
    out = ["--out", tmp_path / "a"]
    assert_refused(call(train.main, *common, *out, "--codec", "pixel", "--stage", "vae"), "nothing to learn")
    outcome = call(train.main, *common, *out, "--codec", "pixel", "--pixel-stride", 3)
    assert outcome.status == 2
    assert "stride 3" in outcome.err.splitlines()[-1]
    assert not (tmp_path / "a").exists()
    assert_refused(call(train.main, *common, *out, "--classes", "kind"), "'kind'")


def test_a_folder_with_another_codec_is_not_trained_on(shades: Path, tmp_path: Path) -> None:
    request = request_for(shades, tmp_path / "run")
    pictures = read_pictures(request)
    run_all(request, pictures, until=1)
    other = request.model_copy(update={"codec": "vae", "resume": True})
    with pytest.raises(CheckpointError, match="has the codec 'pixel', not 'vae'"):
        run_all(other, pictures)
