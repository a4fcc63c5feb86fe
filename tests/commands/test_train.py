"""The command that trains, called as a user's shell does: what it writes, says and refuses."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
from PIL import Image

from ddpm_core.checkpoints import folders
from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.commands import sample, train
from ddpm_core.training.settings import TrainRequest
from tests.command_lines import ALONE, ROOT, assert_refused, module

pytestmark = pytest.mark.integration

TINY = ["--preset", "tiny", "--device", "cpu", "--precision", "fp32", "--batch-size", 2]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, picture_folder: Path) -> tuple[Path, subprocess.CompletedProcess]:
    """A checkpoint from the documented command, in a process of its own."""
    out = tmp_path_factory.mktemp("cli") / "checkpoints" / "mine"
    command = module("train", "--data", picture_folder, "--out", out, *TINY, "--iterations", 2)
    return out, subprocess.run(command, cwd=ROOT, env=ALONE, capture_output=True, text=True, check=False)


def test_training_writes_a_checkpoint_that_is_listed_and_samples(
    call, trained: tuple[Path, subprocess.CompletedProcess], tmp_path: Path
) -> None:
    out, done = trained
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "23 pictures to train on, 1 held out." in done.stdout
    assert f"Done: {out}" in done.stdout
    assert "On 1 held-out picture, which was never learned from" in (out / "README.md").read_text(encoding="utf-8")
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
    assert "to train on" not in outcome.out  # many pictures take minutes to read


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
        deadline = time.monotonic() + 300
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
