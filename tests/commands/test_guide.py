"""The command that puts a guide beside a checkpoint's denoiser, called as a user's shell does."""

from __future__ import annotations

import shutil
from pathlib import Path

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.commands import guide
from ddpm_core.pipeline import LatentDiffusion
from tests.command_lines import assert_refused


def test_a_weaker_checkpoint_guides_another(call, own_checkpoint: Path, tmp_path: Path) -> None:
    weaker = Path(shutil.copytree(own_checkpoint, tmp_path / "weaker"))
    assert (
        call(guide.main, own_checkpoint, weaker, "--scale", 2, "--first", 100, "--last", 900, "--low-scale", 1).status
        == 0
    )
    guided = LatentDiffusion.load(own_checkpoint, "cpu")
    assert guided.guide is not None
    assert (guided.guidance, guided.guidance_interval, guided.guidance_low) == (2, (100, 900), 1)
    for name, weight in checkpoint.load_denoiser(weaker).state_dict().items():
        assert (checkpoint.load_guide(own_checkpoint).state_dict()[name] == weight).all()
    assert_refused(call(guide.main, own_checkpoint, weaker, "--first", 100), "--last")
    assert_refused(call(guide.main, own_checkpoint, weaker, "--first", 900, "--last", 100), "not below")
