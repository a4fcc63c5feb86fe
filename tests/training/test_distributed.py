"""Training with several processes: the same as with one, and stopped and resumed the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.commands import train
from ddpm_core.training import distributed
from ddpm_core.training.distributed import World, process_group
from ddpm_core.training.stages.run import state_file
from tests import distributed_run
from tests.command_lines import assert_refused
from tests.distributed_run import request_for, run

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
TWO = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
ALONE = os.environ | {"OMP_NUM_THREADS": "1"}
PATIENCE = 300  # seconds; only a run that hangs takes long

STAGES = ["vae", "denoiser"]
# Sums are taken in another order, and Adam divides small gradients by their own size: hundredths of a step of 1e-3.
CLOSE = {"rtol": 1e-4, "atol": 3e-5}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes left behind: see `tests.distributed_run`."""
    folder = tmp_path_factory.mktemp("two")
    done = subprocess.run(
        [*TWO, "tests.distributed_run", str(folder)],
        cwd=ROOT, env=ALONE, capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def reports(two: Path) -> list[dict[str, Any]]:
    """What each process says of itself."""
    return [json.loads((two / f"{rank}.json").read_text()) for rank in (0, 1)]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process makes of the same request."""
    out = tmp_path_factory.mktemp("one")
    run(request_for(out))
    return out


def rows(out: Path, stage: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "training" / f"{stage}.jsonl").open()]


@pytest.mark.parametrize("stage", STAGES)
def test_two_processes_end_where_one_does(one: Path, two: Path, stage: Any) -> None:
    (alone, metadata), (together, other_metadata) = (
        checkpoint.read_tensors(state_file(out, stage)) for out in (one, two / "whole")
    )
    assert metadata == other_metadata
    assert alone.keys() == together.keys()
    for name in alone:
        torch.testing.assert_close(together[name], alone[name], **CLOSE, msg=lambda text, name=name: f"{name}: {text}")
    for by_one, by_two in zip(rows(one, stage), rows(two / "whole", stage), strict=True):
        assert by_one == pytest.approx(by_two, rel=1e-3)


@pytest.mark.parametrize("stage", STAGES)
def test_two_processes_that_divide_their_batches_end_there_too(one: Path, two: Path, stage: Any) -> None:
    (alone, _), (together, metadata) = (
        checkpoint.read_tensors(state_file(out, stage)) for out in (one, two / "divided")
    )
    assert json.loads(metadata["progress"])["parts"] == 2
    for name in alone:
        torch.testing.assert_close(together[name], alone[name], **CLOSE, msg=lambda text, name=name: f"{name}: {text}")


def test_the_comparison_would_notice_another_seed(one: Path, tmp_path: Path) -> None:
    run(request_for(tmp_path, seed=1), stage="vae")
    (first, _), (other, _) = (checkpoint.read_tensors(state_file(out, "vae")) for out in (one, tmp_path))
    assert any(not torch.allclose(first[name], other[name], **CLOSE) for name in first)


def test_one_process_writes_each_file_and_line_once(one: Path, two: Path) -> None:
    def files(out: Path) -> list[str]:
        names = (str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
        return sorted(name.split("tfevents")[0] for name in names)  # what follows is the time and the process

    assert files(two / "whole") == files(one)
    for stage in STAGES:
        assert [row["step"] for row in rows(two / "whole", stage)] == list(range(1, distributed_run.STEPS + 1))


def test_two_processes_interrupted_and_resumed_change_nothing_bit_for_bit(two: Path) -> None:
    (complete, _), (broken, _) = (
        checkpoint.read_tensors(state_file(two / name, "denoiser")) for name in ("whole", "broken")
    )
    assert all(torch.equal(complete[name], broken[name]) for name in complete)
    assert rows(two / "whole", "denoiser") == rows(two / "broken", "denoiser")


def test_a_step_not_finite_in_one_process_is_skipped_in_both(reports: list[dict[str, Any]]) -> None:
    assert reports[0]["bad"]["skipped"] == [0] * distributed_run.BAD + [1, 1]
    assert reports[0]["bad"] == reports[1]["bad"]  # the weights too: they never part


def test_processes_draw_the_same_but_for_dropout(reports: list[dict[str, Any]]) -> None:
    first, second = (each["random"] for each in reports)
    assert first["before"] == second["before"]
    assert first["after"] == second["after"]
    assert first["own"] != second["own"]


def test_processes_remember_the_losses_of_the_whole_batch(reports: list[dict[str, Any]]) -> None:
    alone = distributed_run.history_weights(World())
    assert len(set(alone)) > 1  # the draw is by loss
    assert reports[0]["remembered"] == reports[1]["remembered"] == pytest.approx(alone, rel=1e-4)


def test_a_stop_signal_of_two_stops_both_after_one_step_and_one_can_go_on(
    call, picture_folder: Path, tmp_path: Path
) -> None:
    out, log = tmp_path / "run", tmp_path / "run" / "training" / "vae.jsonl"
    common = ["--data", picture_folder, "--out", out, "--preset", "tiny", "--device", "cpu", "--precision", "fp32"]
    common += ["--batch-size", 4, "--stage", "vae", "--sample-every", 10**6]
    command = [*TWO, "ddpm_core.train", *map(str, common), "--iterations", str(10**5), "--save-every", str(10**6)]
    running = subprocess.Popen(
        command, cwd=ROOT, env=ALONE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while not (log.exists() and log.stat().st_size) and running.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        running.send_signal(signal.SIGTERM)
        output, _ = running.communicate(timeout=PATIENCE)
    finally:
        running.kill()
    assert output.count("pictures to train on") == output.count("--resume") == 1  # one of them speaks
    done = len(log.read_text().splitlines())
    assert json.loads(checkpoint.read_tensors(state_file(out, "vae"))[1]["progress"])["step"] == done
    assert call(train.main, *common, "--resume", "--iterations", done + 1).status == 0
    assert [json.loads(line)["step"] for line in log.open()] == list(range(1, done + 2))


def test_one_of_two_that_runs_out_of_memory_says_so_and_both_end(picture_folder: Path, tmp_path: Path) -> None:
    command = ["--data", picture_folder, "--out", tmp_path / "run", "--preset", "tiny", "--device", "cpu"]
    command += ["--precision", "fp32", "--stage", "vae", "--batch-size", 4, "--iterations", 10**5]
    done = subprocess.run(
        [*TWO, "tests.full_run", *map(str, command)],
        cwd=ROOT, env=ALONE, capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode != 0
    assert (
        done.stderr.count("Error: A batch of 4 does not fit into the memory of process 1; resume with a smaller") == 1
    )
    assert "[rank" not in done.stderr  # how torchrun marks a traceback of ours


# In this process


def test_alone_nothing_is_connected_and_no_random_number_is_spent() -> None:
    torch.manual_seed(0)
    wanted = torch.rand(2)
    torch.manual_seed(0)
    with process_group(distributed.ALONE, torch.device("cpu")), distributed.ALONE.fork_rng():
        assert not torch.distributed.is_initialized()
        assert torch.equal(torch.rand(2), wanted)


def test_a_batch_that_cannot_be_divided_evenly_is_refused_before_anything_is_read(
    call, monkeypatch: pytest.MonkeyPatch, picture_folder: Path, tmp_path: Path
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    command = ["--data", picture_folder, "--out", tmp_path / "run", "--preset", "tiny", "--batch-size", 4]
    assert_refused(call(train.main, *command), "batch of 4", "3 processes", "multiple of 3")
    assert not (tmp_path / "run").exists()


def test_more_processes_than_gpus_and_devices_that_cannot_share_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with (
        pytest.raises(ValueError, match=r"no GPU for process 1.*--nproc-per-node"),
        process_group(World(1, 2), torch.device("cuda")),
    ):
        pass
    with pytest.raises(ValueError, match="--device cpu"), process_group(World(1, 2), torch.device("mps")):
        pass
