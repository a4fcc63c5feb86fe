"""The command lines, called as a user's shell does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm_core import evaluate, sample, train
from ddpm_core.checkpoints import folders
from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.images.files import read_parameters, to_pictures
from ddpm_core.requests import MAX_COUNT, MAX_SEED
from ddpm_core.training.settings import TrainRequest
from tests.commands import assert_refused

ROOT = Path(__file__).resolve().parents[2]
ALONE = os.environ | {"OMP_NUM_THREADS": "1"}  # for processes of our own: tensors are tiny, threads only fight


def module(name: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", f"ddpm_core.{name}", *map(str, arguments)]


TINY = ["--preset", "tiny", "--device", "cpu", "--precision", "fp32", "--batch-size", 2]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, picture_folder: Path) -> tuple[Path, subprocess.CompletedProcess]:
    """A checkpoint from the documented command, in a process of its own."""
    out = tmp_path_factory.mktemp("cli") / "checkpoints" / "mine"
    command = module("train", "--data", picture_folder, "--out", out, *TINY, "--iterations", 2)
    return out, subprocess.run(command, cwd=ROOT, env=ALONE, capture_output=True, text=True, check=False)


# Sampling


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
    assert call(sample.main, *arguments, *sheet).status == 0
    assert alive_counts == ([1, 2, 3] if grid else [1, 1, 1])


def test_the_sample_command_runs_as_a_module(tiny_checkpoint: Path, tmp_path: Path) -> None:
    command = module("sample", "--checkpoint", tiny_checkpoint, "--steps", 2, "--out", tmp_path)
    done = subprocess.run(command, cwd=ROOT, env=ALONE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "0.png").is_file()


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


# Training


def test_training_writes_a_checkpoint_that_is_listed_and_samples(
    call, trained: tuple[Path, subprocess.CompletedProcess], tmp_path: Path
) -> None:
    out, done = trained
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "23 pictures to train on, 1 held out." in done.stdout
    assert f"Done: {out}" in done.stdout
    assert folders.list_checkpoints(out.parent) == ["mine"]
    assert call(sample.main, "--checkpoint", out, "--steps", 2, "--out", tmp_path).status == 0
    assert (tmp_path / "0.png").is_file()


def test_the_resolved_settings_stand_beside_the_run(trained: tuple[Path, subprocess.CompletedProcess]) -> None:
    out, _ = trained
    for stage in ("vae", "denoiser"):
        request = TrainRequest.model_validate_json((out / "training" / f"{stage}.json").read_text())
        assert request.out == out
        assert (request.vae.iterations, request.denoiser.iterations) == (2, 2)
        assert (request.vae.batch_size, request.denoiser.batch_size) == (2, 2)
        assert (request.size, request.vae.channels, request.denoiser.channels) == (32, (16, 32), (32, 64))
        assert len((out / "training" / f"{stage}.jsonl").read_text().splitlines()) == 2
        assert (out / "training" / f"{stage}-000002.png").is_file()


def test_training_twice_into_one_folder_is_refused(
    call, trained: tuple[Path, subprocess.CompletedProcess], picture_folder: Path
) -> None:
    outcome = call(train.main, "--data", picture_folder, "--out", trained[0], *TINY, "--iterations", 2)
    assert outcome.status == 2
    assert outcome.err.splitlines()[-1].startswith("Error: ")
    assert "--resume" in outcome.err.splitlines()[-1]


def test_one_stage_alone_then_the_other_then_more_of_it(call, picture_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    common = ["--data", picture_folder, "--out", out, *TINY, "--vae-channels", "8,16", "--denoiser-mixer", "none"]
    assert call(train.main, *common, "--iterations", 1, "--stage", "vae").status == 0
    assert (out / checkpoint.CODEC_WEIGHTS).is_file()
    assert not (out / checkpoint.DENOISER_WEIGHTS).exists()
    vae = (out / checkpoint.CODEC_WEIGHTS).read_bytes()

    assert call(train.main, *common, "--iterations", 1, "--stage", "denoiser").status == 0
    assert (out / checkpoint.DENOISER_WEIGHTS).is_file()
    assert call(train.main, *common, "--iterations", 3, "--stage", "denoiser", "--resume").status == 0
    rows = [json.loads(line) for line in (out / "training" / "denoiser.jsonl").open()]
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert (out / checkpoint.CODEC_WEIGHTS).read_bytes() == vae
    config = checkpoint.read_config(out)
    assert (config.codec_settings["channels"], config.denoiser["mixer"]) == ([8, 16], "none")


def test_a_stages_own_flag_goes_before_the_one_for_both_and_that_before_the_preset(
    call, picture_folder: Path, tmp_path: Path
) -> None:
    flags = ["--iterations", 2, "--vae-iterations", 1, "--stage", "vae", "--no-flips", "--vae-kl-weight", 0.5]
    call(train.main, "--data", picture_folder, "--out", tmp_path / "run", *TINY, *flags)
    request = TrainRequest.model_validate_json((tmp_path / "run" / "training" / "vae.json").read_text())
    assert (request.vae.iterations, request.denoiser.iterations) == (1, 2)
    assert request.vae.kl_weight == 0.5
    assert not request.flips
    assert request.vae.warmup == 10  # the preset's


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--preset", "huge"], ["huge", "tiny"]),
        (["--iterations", "0"], ["iterations"]),
        (["--size", "4"], ["size", "4"]),
        (["--vae-channels", "64,wide"], ["channels"]),
        (["--vae-channels", "0,16"], ["channels"]),
        (["--denoiser-channels", "20,40"], ["20"]),
        (["--denoiser-channels", "33,64", "--denoiser-mixer", "none"], ["33"]),
        (["--denoiser-dropout", "2"], ["dropout", "2"]),
        (["--device", "abacus"], ["abacus"]),
    ],
)
def test_a_training_value_out_of_bounds_is_refused_in_a_line(
    call, picture_folder: Path, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    common = ["--data", picture_folder, "--out", tmp_path / "run", "--preset", "tiny", "--iterations", 1]
    outcome = call(train.main, *common, *arguments)
    assert outcome.status == 2
    line = outcome.err.splitlines()[-1]
    assert line.startswith("Error: ")
    assert all(word in line for word in words)
    assert "Traceback" not in outcome.err
    assert not (tmp_path / "run").exists()  # said before hours of training, not after


def test_a_missing_flag_is_named(call, picture_folder: Path) -> None:
    assert_refused(call(train.main, "--data", picture_folder), "out is missing")


def test_a_folder_without_pictures_is_refused(call, tmp_path: Path) -> None:
    assert_refused(call(train.main, "--data", tmp_path, "--out", tmp_path / "run"), "no pictures", str(tmp_path))
    assert_refused(call(train.main, "--data", tmp_path / "none", "--out", tmp_path / "run"), "does not exist")
    assert not (tmp_path / "run").exists()


def test_files_that_are_no_pictures_are_counted_and_left_out(call, tmp_path: Path) -> None:
    for number in range(4):
        Image.new("RGB", (32, 32), (60 * number, 0, 0)).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_text("no picture")
    outcome = call(
        train.main, "--data", tmp_path, "--out", tmp_path / "run", *TINY, "--iterations", 1, "--stage", "vae"
    )
    assert outcome.status == 0
    assert "Skipped 1 files" in outcome.out
    assert "4 pictures to train on, 0 held out." in outcome.out


def test_a_run_stopped_by_ctrl_c_saves_and_can_be_resumed(call, picture_folder: Path, tmp_path: Path) -> None:
    out, log = tmp_path / "run", tmp_path / "run" / "training" / "vae.jsonl"
    common = ["--data", picture_folder, "--out", out, *TINY, "--stage", "vae", "--sample-every", 10**6]
    command = module("train", *common, "--iterations", 10**5, "--save-every", 10**6)
    running = subprocess.Popen(
        command, cwd=ROOT, env=ALONE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        deadline = time.monotonic() + 120
        while not (log.exists() and log.stat().st_size) and running.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        output, _ = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 0
    assert "--resume" in output
    done = len(log.read_text().splitlines())
    assert (out / checkpoint.CODEC_WEIGHTS).is_file()
    assert call(train.main, *common, "--resume", "--iterations", done + 1).status == 0
    assert [json.loads(line)["step"] for line in log.open()] == list(range(1, done + 2))


# Measuring


def test_evaluating_prints_and_writes_the_measures(call, tiny_checkpoint: Path, picture_folder: Path, tmp_path: Path):
    report = tmp_path / "measures.json"
    arguments = ["--checkpoint", tiny_checkpoint, "--data", picture_folder, "--json", report]
    arguments += ["--device", "cpu", "--samples", 8, "--fills", 2]
    outcome = call(evaluate.main, *arguments)
    assert outcome.status == 0
    measures = json.loads(report.read_text())
    assert all(name in outcome.out for name in measures)
    assert measures["pictures"] == 1
    assert measures["kept_max_diff"] == 0
    assert len(measures["swd"]) == len(measures["swd_floor"]) == 2  # 32 and 16 pixels
    for name in ("psnr", "gradient_ratio", "locality_radius", "locality_3x3", "memorised_share", "seam_ratio"):
        assert isinstance(measures[name], int | float), name
    assert min(measures["nearest_distance"], measures["nearest_distance_floor"]) > 0


def test_evaluating_without_pictures_is_refused(call, tiny_checkpoint: Path, tmp_path: Path) -> None:
    assert_refused(call(evaluate.main, "--checkpoint", tiny_checkpoint, "--data", tmp_path), "no pictures")
