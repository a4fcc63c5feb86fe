"""The command that compares settings, called as a user's shell does."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from ddpm_core.commands import compare
from ddpm_core.images.files import read_parameters
from tests.command_lines import assert_refused


def test_a_grid_is_written_with_what_it_is_made_of(call, tiny_checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "grid.png"
    common = ["--checkpoint", tiny_checkpoint, "--seed", 5, "--out", out]
    settings = ["--across", "steps", "--across-values", "1,2", "--down", "sampler", "--down-values", "ddim,heun"]
    assert call(compare.main, *common, *settings).status == 0
    says = read_parameters(out)
    assert (says["action"], says["checkpoint"], says["seed"], says["across"]) == ("compare", "tiny", 5, "steps")
    assert [one["calls"] for one in says["made"]] == [1, 2, 1, 3]
    assert Image.open(out).mode == "RGB"


def test_inpaintings_are_compared_where_a_picture_is_given(call, tiny_checkpoint, picture_folder, tmp_path) -> None:
    common = [picture_folder / "00.png", "--checkpoint", tiny_checkpoint, "--steps", 2, "--out", tmp_path / "c.png"]
    done = call(compare.main, *common, "--region", "face", "--across", "clamp", "--down", "none", "--resamples", 1)
    assert done.status == 0
    assert [one["clamp"] for one in read_parameters(tmp_path / "c.png")["made"]] == ["clean", "noised"]


def test_what_is_wrong_is_said_before_anything_is_made(call, tiny_checkpoint: Path, tmp_path: Path) -> None:
    common = ["--checkpoint", tiny_checkpoint, "--out", tmp_path / "grid.png"]
    assert_refused(
        call(compare.main, *common, "--across", "steps", "--down", "steps"), "--across and --down are both steps"
    )
    assert_refused(call(compare.main, *common, "--across", "checkpoint"), "name those to compare in --across-values")
    assert_refused(call(compare.main, *common, "--region", "face"), "picture")
    assert_refused(call(compare.main, *common[:2], "--out", tmp_path / "grid.gif"), ".png")
    assert list(tmp_path.iterdir()) == []
