"""`python -m ddpm_core.process`, called as a user's shell does."""

from __future__ import annotations

import sys
from pathlib import Path

import imageio
import numpy as np
import pytest
from PIL import Image

from ddpm_core.commands import process
from ddpm_core.requests import InpaintRequest
from tests.command_lines import assert_refused


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)).save(path)
    return path


def test_a_gif_shows_every_step_of_a_seed(call, tiny_checkpoint: Path, tmp_path: Path) -> None:
    frames = {}
    for view in ("believes", "sees"):
        out = tmp_path / "new folder" / f"{view}.gif"
        asked = ["--seed", 3, "--steps", 5, "--size", 64, "--seconds", 1, "--view", view, "--out", out]
        outcome = call(process.main, "--checkpoint", tiny_checkpoint, *asked)
        assert (outcome.status, outcome.out) == (0, f"Wrote {out}.\n")
        with Image.open(out) as gif:
            assert (gif.format, gif.n_frames, gif.size) == ("GIF", 5, (64, 64))  # type: ignore[attr-defined]
            gif.seek(1)
            frames[view] = np.asarray(gif.convert("RGB"), float)
    assert np.abs(frames["believes"] - frames["sees"]).mean() > 1


def test_steps_are_counted_on_a_terminal(
    call, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    asked = ["--checkpoint", tiny_checkpoint, "--steps", 3, "--out", tmp_path / "run.gif"]
    assert "sampling 3/3" in call(process.main, *asked).err


def test_an_mp4_shows_an_inpainting_in_its_picture(call, tiny_checkpoint: Path, photo: Path, tmp_path: Path) -> None:
    asked = ["--region", "face", "--steps", 4, "--resamples", 2, "--size", 70, "--out", tmp_path / "run.MP4"]
    assert call(process.main, photo, "--checkpoint", tiny_checkpoint, *asked).status == 0
    with imageio.get_reader(tmp_path / "run.MP4", format="FFMPEG") as reader:
        frames = list(iter(reader))
    assert len(frames) > InpaintRequest(steps=4, resamples=2).calls
    assert frames[0].shape == (50, 70, 3)
    corner = np.asarray(Image.open(photo), float)[:8, :8].mean()
    assert abs(frames[0][:8, :8].mean() - corner) < 8  # what is kept is there from the first step on


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "run.avi"], ["run.avi", ".gif or .mp4"]),
        (["--out", "run"], ["run", ".gif or .mp4"]),
        (["--out", "run.gif", "--size", "8"], ["size", "'8'"]),
        (["--out", "run.gif", "--mask-rule", "nearest"], ["--mask-rule belongs to an inpainting"]),
        (["--out", "run.gif", "--region", "face"], ["--region belongs to an inpainting"]),
        (["--out", "run.gif", "photo.png"], ["--mask", "--region"]),
    ],
)
def test_what_cannot_be_done_is_reported_in_a_sentence(
    call, tiny_checkpoint: Path, photo: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: list[str]
) -> None:
    monkeypatch.chdir(photo.parent)
    assert_refused(call(process.main, "--checkpoint", tiny_checkpoint, *arguments), *words)
    assert [path.name for path in photo.parent.glob("*.*")] == ["photo.png"]
