"""The command that makes pictures, called as a user's shell does."""

from __future__ import annotations

import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.commands import sample
from ddpm_core.images.files import read_parameters, to_pictures
from ddpm_core.requests import MAX_COUNT, MAX_SEED
from tests.command_lines import ALONE, ROOT, assert_refused, module


def test_samples_are_files_named_by_seed_with_their_parameters_in_them(call, tiny_checkpoint: Path, tmp_path: Path):
    out = tmp_path / "new" / "samples"
    arguments = ["--checkpoint", tiny_checkpoint, "--seed", 5, "--count", 3, "--steps", 4, "--sampler", "ddpm"]
    assert call(sample.main, *arguments, "--out", out).status == 0
    assert sorted(path.name for path in out.iterdir()) == ["5.png", "6.png", "7.png"]
    for seed in (5, 6, 7):
        assert read_parameters(out / f"{seed}.png") == {
            "action": "generate",
            "checkpoint": "tiny",
            "seed": seed,
            "count": 1,
            "steps": 4,
            "sampler": "ddpm",
            "spacing": "uniform",
            "eta": 0.0,
            "variance_type": "learned",
            "churn": 0.0,
        }
        with Image.open(out / f"{seed}.png") as picture:
            assert picture.size == (32, 32)


def test_a_seed_gives_the_same_file_whatever_the_count(call, tiny_checkpoint: Path, tmp_path: Path) -> None:
    common = ["--checkpoint", tiny_checkpoint, "--steps", 3]
    call(sample.main, *common, "--seed", 0, "--count", MAX_COUNT + 2, "--out", tmp_path / "many")
    assert len(list((tmp_path / "many").iterdir())) == MAX_COUNT + 2
    for seed in (0, 3, MAX_COUNT + 1):
        call(sample.main, *common, "--seed", seed, "--out", tmp_path / "one")
        one, many = (np.asarray(Image.open(tmp_path / name / f"{seed}.png")).astype(int) for name in ("one", "many"))
        assert abs(one - many).max() <= 1


def test_all_samples_can_be_written_as_one_sheet_too(call, tiny_checkpoint: Path, tmp_path: Path) -> None:
    grid = tmp_path / "grid.png"
    arguments = ["--checkpoint", tiny_checkpoint, "--count", 4, "--steps", 2, "--out", tmp_path / "s", "--grid", grid]
    assert call(sample.main, *arguments).status == 0
    assert Image.open(grid).size == (66, 66)


def test_the_sheets_suffix_is_its_format_and_its_folder_is_made(call, tiny_checkpoint: Path, tmp_path: Path) -> None:
    common = ["--checkpoint", tiny_checkpoint, "--steps", 1, "--out", tmp_path / "s", "--grid"]
    assert call(sample.main, *common, tmp_path / "new" / "folder" / "sheet.jpg").status == 0
    assert Image.open(tmp_path / "new" / "folder" / "sheet.jpg").format == "JPEG"
    for name in ("sheet", "sheet.mp4"):
        assert_refused(call(sample.main, *common, tmp_path / "other" / name), name, ".png or .jpg")
    assert not (tmp_path / "other").exists()
    (tmp_path / "s" / "0.png").unlink()
    assert_refused(call(sample.main, *common, tmp_path / "new" / ".." / "s" / "0.png"), "another file for the sheet")
    assert not (tmp_path / "s" / "0.png").exists()
    (tmp_path / "file").write_text("no folder")
    outcome = call(sample.main, "--checkpoint", tiny_checkpoint, "--out", tmp_path / "file")
    assert_refused(outcome, f"nothing can be written into {tmp_path / 'file'}")


@pytest.mark.parametrize("grid", [False, True])
def test_pictures_stay_in_memory_for_a_sheet_only(
    call, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grid: bool
) -> None:
    references: list[weakref.ref] = []
    alive_counts: list[int] = []

    def watched(images):
        references.append(weakref.ref(images))
        alive_counts.append(sum(one() is not None for one in references))
        return to_pictures(images)

    monkeypatch.setattr(sample, "to_pictures", watched)
    sheet = ["--grid", tmp_path / "sheet.png"] if grid else []
    arguments = ["--checkpoint", tiny_checkpoint, "--steps", 1, "--count", 2 * MAX_COUNT + 1, "--out", tmp_path / "s"]
    outcome = call(sample.main, *arguments, *sheet)
    assert outcome.status == 0
    first, *others = outcome.out.splitlines()
    assert first == f"Wrote {2 * MAX_COUNT + 1} pictures to {tmp_path / 's'}: 0.png, 1.png, 2.png, 3.png, …"
    assert others == ([f"Wrote {tmp_path / 'sheet.png'}."] if grid else [])
    assert alive_counts == ([1, 2, 3] if grid else [1, 1, 1])


@pytest.mark.integration
def test_the_sample_command_runs_as_a_module(tiny_checkpoint: Path, tmp_path: Path) -> None:
    command = module("sample", "--checkpoint", tiny_checkpoint, "--steps", 2, "--out", tmp_path)
    done = subprocess.run(command, cwd=ROOT, env=ALONE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "0.png").is_file()
    assert done.stdout == f"Wrote 1 picture to {tmp_path}: 0.png\n"


@pytest.mark.parametrize(
    ("flag", "value"),
    [("seed", -1), ("seed", MAX_SEED + 1), ("steps", 0), ("steps", 1000), ("steps", 1001), ("device", "abacus")],
)
def test_a_sample_value_out_of_bounds_is_refused_in_a_line(
    call, tiny_checkpoint: Path, tmp_path: Path, flag: str, value: object
) -> None:
    outcome = call(sample.main, "--checkpoint", tiny_checkpoint, "--out", tmp_path / "s", f"--{flag}", value)
    assert_refused(outcome, flag, str(value))
    assert not list(tmp_path.rglob("*.png"))


def test_steps_of_all_batches_are_counted_together_on_a_terminal(
    call, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    asked = ["--checkpoint", tiny_checkpoint, "--steps", 3, "--out", tmp_path]
    for count, steps in ((1, 3), (MAX_COUNT + 1, 6)):
        assert f"sampling {steps}/{steps}" in call(sample.main, *asked, "--count", count).err
    assert_refused(call(sample.main, *asked, "--class", "ant"), "trained without classes")  # before any line


def test_no_sample_gets_a_seed_out_of_bounds(call, tiny_checkpoint: Path, tmp_path: Path) -> None:
    arguments = ["--checkpoint", tiny_checkpoint, "--seed", MAX_SEED, "--count", 2, "--steps", 2]
    call(sample.main, *arguments, "--out", tmp_path / "s")
    assert not (tmp_path / "s" / f"{MAX_SEED + 1}.png").exists()


@pytest.mark.parametrize("arguments", [["--seed", "abc"], ["--count", "0"], ["--sampler", "magic"], ["--flavour", "x"]])
def test_flags_that_cannot_be_read_end_with_usage_and_status_2(call, tmp_path: Path, arguments: list[str]) -> None:
    outcome = call(sample.main, "--out", tmp_path / "s", *arguments)
    assert outcome.status == 2
    assert "Traceback" not in outcome.err
    assert arguments[0] in outcome.err


def test_a_checkpoint_that_cannot_be_used_is_refused_in_a_line(call, own_checkpoint: Path, tmp_path: Path) -> None:
    missing = tmp_path / "none"
    assert_refused(call(sample.main, "--checkpoint", missing, "--out", tmp_path / "s"), str(missing))
    weights = own_checkpoint / checkpoint.CODEC_WEIGHTS
    weights.write_bytes(weights.read_bytes()[:500])
    assert_refused(call(sample.main, "--checkpoint", own_checkpoint, "--out", tmp_path / "s"), str(weights))
