"""A diffusion transformer from the command line to pictures."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.checkpoints.native import load_denoiser, read_config, write_config
from ddpm_core.commands import inpaint, sample, train
from ddpm_core.images.files import open_picture
from ddpm_core.networks.dit import DiT, SerpentineScan
from ddpm_core.pipeline import LatentDiffusion

TINY = ["--preset", "tiny", "--codec", "pixel", "--size", 16, "--batch-size", 2, "--device", "cpu"]
KIND = ["--denoiser-backbone", "dit", "--denoiser-channels", 32, "--denoiser-patch", 2]


def test_it_is_trained_resumed_tuned_and_used_like_any_other(call, picture_folder: Path, tmp_path: Path) -> None:
    trained = tmp_path / "small"
    outcome = call(train.main, "--data", picture_folder, "--out", trained, "--iterations", 2, *TINY, *KIND)
    assert outcome.status == 0, outcome.err
    config = read_config(trained)
    assert (config.backbone, config.denoiser["channels"], config.denoiser["patch"]) == ("dit", [32], 2)
    model = LatentDiffusion.load(trained, "cpu")
    assert isinstance(model.denoiser, DiT)
    assert isinstance(model.denoiser.blocks[0].mixer, SerpentineScan)
    card = (trained / "README.md").read_text()
    assert "4x4 cells with 32 channels, serpentine mixers" in card

    outcome = call(train.main, "--data", picture_folder, "--out", trained, "--iterations", 3, "--resume", *TINY, *KIND)
    assert outcome.status == 0, outcome.err
    start = ["--data", picture_folder, "--init", trained, "--iterations", 1, *TINY]
    outcome = call(train.main, *start, "--out", tmp_path / "tuned")
    assert outcome.status == 0, outcome.err
    before, after = (load_denoiser(folder) for folder in (trained, tmp_path / "tuned"))
    assert isinstance(after, DiT)
    assert torch.allclose(before.get_parameter("time.2.bias"), after.get_parameter("time.2.bias"), atol=0.01)
    outcome = call(train.main, *start, "--out", tmp_path / "other", "--denoiser-backbone", "unet")
    assert outcome.status == 2
    assert (
        "is unet instead of dit" in outcome.err or "--denoiser-patch belongs to --denoiser-backbone dit" in outcome.err
    )

    shutil.copytree(trained, tmp_path / "unfilled")
    write_config(tmp_path / "unfilled", config.model_copy(update={"size": 18}))  # 9 cells a side
    with pytest.raises(CheckpointError, match="inconsistent"):
        LatentDiffusion.load(tmp_path / "unfilled", "cpu")

    for sampler in ("ddpm", "dpm-solver++"):
        sampling = ["--checkpoint", trained, "--steps", 3, "--sampler", sampler, "--out", tmp_path / sampler]
        outcome = call(sample.main, *sampling)
        assert outcome.status == 0, outcome.err
        assert open_picture(tmp_path / sampler / "0.png").size == (16, 16)
    picture = next(path for path in picture_folder.rglob("*") if path.suffix == ".png")
    filling = ["--region", "eyes", "--checkpoint", trained, "--out", tmp_path / "filled"]
    outcome = call(inpaint.main, picture, *filling)
    assert outcome.status == 0, outcome.err


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--denoiser-channels", "64,128"], "--denoiser-channels of a transformer are one number, 384 say, not 64,128"),
        (
            ["--denoiser-channels", 32, "--denoiser-mixer", "none"],
            "--denoiser-mixer must not be none with --denoiser-backbone dit",
        ),
        (["--denoiser-channels", 32, "--denoiser-patch", 3], "8 cells a side are no multiple of the patch 3"),
        (["--denoiser-backbone", "unet", "--denoiser-patch", 2], "--denoiser-patch belongs to --denoiser-backbone dit"),
    ],
)
def test_what_a_transformer_cannot_be_is_said(
    call, picture_folder: Path, tmp_path: Path, flags: list, sentence: str
) -> None:
    backbone = [] if "--denoiser-backbone" in flags else ["--denoiser-backbone", "dit"]
    outcome = call(train.main, "--data", picture_folder, "--out", tmp_path / "x", *TINY, *backbone, *flags)
    assert outcome.status == 2
    assert sentence in outcome.err
