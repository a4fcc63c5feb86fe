"""Runs that are killed, and runs that are asked to stop: each goes on to the very end it would have come to."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ddpm_core.checkpoints import atomic
from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.commands import train
from ddpm_core.training import loop, state
from ddpm_core.training.interruption import STOP_SIGNALS
from ddpm_core.training.record.journal import Journal
from ddpm_core.training.stages import denoiser
from ddpm_core.training.stages import run as stage_run
from ddpm_core.training.stages.run import state_file
from ddpm_core.training.stages.vae import VaeStage
from tests import forked
from tests.faults import losses
from tests.runs import STEPS, assert_complete, assert_same_result, flags, progress

ROOT = Path(__file__).resolve().parents[2]
KILLS = 20


def command_in(output: str) -> list[str]:
    """The arguments of the command with which a stopped run says to go on."""
    line = next(line for line in output.splitlines() if line.startswith("python -m ddpm_core.train "))
    return shlex.split(line)[3:]


# kill -9


def test_twenty_kills_at_random_moments_change_nothing(photos: Path, finished_run: Path, tmp_path: Path) -> None:
    assert losses.killed(photos, finished_run, tmp_path, KILLS) > 0  # fifty by a command, `tests.faults.losses`


def snapshots_of(
    run: Callable[[], object], out: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, Path]]:
    """What a kill would leave of `out` at every write of `run`: in the middle of the file, and just after it."""
    replace, snapshots = os.replace, []

    def copying(source: Path, target: Path) -> None:
        name = f"{len(snapshots) // 2:02d}-{Path(target).name}"
        torn, placed = folder / f"{name}-torn" / out.name, folder / f"{name}-placed" / out.name
        shutil.copytree(out, torn)
        part = torn / Path(source).relative_to(out)
        part.write_bytes(part.read_bytes()[: part.stat().st_size // 2])
        replace(source, target)
        shutil.copytree(out, placed)
        snapshots.extend([(f"{name}, torn", torn), (f"{name}, placed", placed)])

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", copying)
        run()
    return iter(snapshots)


@pytest.mark.parametrize(("codec", "first"), [("vae", None), ("pixel", 8)])
def test_a_kill_at_any_write_changes_nothing(
    call, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str, first: int | None
) -> None:
    out = tmp_path / "whole" / "run"
    settings = {"steps": 2}
    more = ["--codec", codec, "--denoiser-channels", "32"]

    def run() -> None:
        assert call(train.main, *flags(photos, out, *more, **settings)).status == 0

    left = list(snapshots_of(run, out, tmp_path / "left", monkeypatch))
    names = " ".join(name for name, _ in left)
    for written in ("config.json", "denoiser.safetensors", "denoiser.jsonl", "denoiser.json", "denoiser-000002.png"):
        assert f"-{written}, torn" in names
    stages = ("vae", "denoiser") if codec == "vae" else ("denoiser",)
    for name, copy in left[:first]:
        assert_complete(copy)
        outcome = call(train.main, *flags(photos, copy, *more, "--resume", **settings))
        assert outcome.status == 0, f"{name}: {outcome.err}"
        assert "Traceback" not in outcome.err
        try:
            assert_same_result(copy, out, stages)
        except AssertionError as error:
            raise AssertionError(f"killed at {name}: {error}") from error


def test_a_real_process_killed_can_be_resumed(call, photos: Path, finished_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    state = state_file(out, "vae")
    command = [sys.executable, "-m", "ddpm_core.train", *map(str, flags(photos, out))]
    with open(tmp_path / "output", "w") as output:
        running = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=output)
    try:
        deadline = time.monotonic() + 300
        while not state.exists() and running.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
    finally:
        running.kill()
        running.wait()
    assert state.exists(), (tmp_path / "output").read_text()
    assert_complete(out)
    assert call(train.main, *flags(photos, out, "--resume")).status == 0
    assert_same_result(out, finished_run)


def test_what_interrupted_writes_left_is_gone_after_the_next_one(tmp_path: Path) -> None:
    room = tmp_path / atomic.PARTIAL.format("config.json")
    room.mkdir()
    (room / ".tmpAbCdEf").write_text("half")
    checkpoint.write_atomically(tmp_path / "config.json", lambda partial: partial.write_text("{}"))
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_files_are_as_readable_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    checkpoint.write_tensors(tmp_path / "x.safetensors", {})
    assert (tmp_path / "x.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


# Asked to stop


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_stop_signal_finishes_the_step_saves_and_says_how_to_go_on(
    photos: Path, tmp_path: Path, number: signal.Signals
) -> None:
    out, output = tmp_path / "my run", tmp_path / "output"
    log = out / "training" / "vae.jsonl"
    more = ["--save-every", 10**6, "--stage", "vae"]
    process = forked.start(flags(photos, out, *more, steps=10**5), output)
    deadline = time.monotonic() + 300
    while not (log.exists() and log.stat().st_size) and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid or 0, number)
    process.join(300)
    text = output.read_text()
    assert process.exitcode == 0, text
    assert "Traceback" not in text
    done = progress(out, "vae")
    assert done == len(log.read_text().splitlines()) > 0
    again = command_in(text)
    assert again[again.index("--out") + 1] == str(out)  # quoted, for it has a space
    assert again[-1] == "--resume"
    assert forked.finish([*again, "--vae-iterations", done + 1], output) == 0, output.read_text()
    assert progress(out, "vae") == done + 1


def test_a_signal_in_the_very_first_step_lets_it_finish(
    call, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, write = tmp_path / "run", Journal.write

    def interrupted(journal: Journal, *row: Any) -> None:
        write(journal, *row)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Journal, "write", interrupted)
    assert "what was learned is saved" in call(train.main, *flags(photos, out, "--save-every", 10**6)).out
    assert progress(out, "vae") == 1


def test_signals_while_it_saves_disturb_nothing(
    call, photos: Path, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, write, sent = tmp_path / "run", state.write_tensors, []

    def interrupted(path: Path, *content: Any) -> None:
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            if path.exists():  # from the second save on
                os.kill(os.getpid(), number)
                sent.append(number)
        write(path, *content)

    with monkeypatch.context() as patch:
        patch.setattr(state, "write_tensors", interrupted)
        outcome = call(train.main, *flags(photos, out))
    assert outcome.status == 0, outcome.err
    assert len(sent) == 3
    assert progress(out, "vae") == 2
    assert "Stopped; what was learned is saved" in outcome.out
    assert call(train.main, *command_in(outcome.out)).status == 0
    assert_same_result(out, finished_run)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("where", ["read_pictures", "encode_pictures"])
def test_a_signal_before_the_first_step_ends_without_harm(
    call,
    photos: Path,
    finished_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    number: signal.Signals,
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        owner = denoiser if where == "encode_pictures" else train
        patch.setattr(owner, where, lambda *_, **__: os.kill(os.getpid(), number) or time.sleep(5))
        outcome = call(train.main, *flags(photos, out))
    assert outcome.status == 0, outcome.err
    assert "nothing new to save" in outcome.out
    assert "Traceback" not in outcome.err
    assert out.exists() == (where == "encode_pictures")  # what it made and did not need is gone
    assert call(train.main, *command_in(outcome.out)).status == 0
    assert_same_result(out, finished_run)


def test_a_signal_in_the_last_step_of_all_changes_nothing_but_one_between_the_stages_stops(
    call, photos: Path, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, evaluate = tmp_path / "run", VaeStage.evaluate

    def interrupted(*arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return evaluate(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(VaeStage, "evaluate", interrupted)  # after its last step
        outcome = call(train.main, *flags(photos, out))
    assert outcome.status == 0
    assert progress(out, "vae") == STEPS
    assert not state_file(out, "denoiser").exists()
    more = call(train.main, *command_in(outcome.out), "--stage", "denoiser")
    assert f"Done: {out}" in more.out
    assert_same_result(out, finished_run, ("vae",))
    with monkeypatch.context() as patch:
        patch.setattr(VaeStage, "evaluate", interrupted)
        done = call(train.main, *flags(photos, tmp_path / "vae", "--stage", "vae"))
    assert f"Done: {tmp_path / 'vae'}" in done.out


# Going on


def test_between_the_stages_and_in_a_new_folder_resuming_just_goes_on(
    call, photos: Path, finished_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    assert call(train.main, *flags(photos, out, "--stage", "vae")).status == 0
    (tmp_path / "empty").mkdir()
    for folder in (out, tmp_path / "empty", tmp_path / "none"):
        outcome = call(train.main, *flags(photos, folder, "--resume"))
        assert outcome.status == 0, outcome.err
        rows = [json.loads(line)["step"] for line in (folder / "training" / "denoiser.jsonl").open()]
        assert rows == list(range(1, STEPS + 1))
    assert_same_result(tmp_path / "empty", finished_run)
    assert (out / checkpoint.CODEC_WEIGHTS).read_bytes() == (finished_run / checkpoint.CODEC_WEIGHTS).read_bytes()
    assert (out / checkpoint.DENOISER_WEIGHTS).read_bytes() == (finished_run / checkpoint.DENOISER_WEIGHTS).read_bytes()


@pytest.mark.parametrize("stage", ["vae", "denoiser"])
@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_in_half_precision_too_ten_steps_are_five_and_five(
    call, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str, stage: str
) -> None:
    runs = tmp_path / "runs"
    first = ["--precision", precision]
    assert call(train.main, *flags(photos, runs / "whole", *first, steps=10)).status == 0
    shutil.copytree(runs / "whole", runs / "broken")
    (runs / "broken" / f"{stage}.safetensors").unlink()
    for path in (runs / "broken" / "training").glob(f"{stage}*"):
        path.unlink()
    if stage == "vae":
        shutil.rmtree(runs / "broken")
    write = stage_run.save_state

    def stopping(trainer: loop.Trainer, *arguments: Any) -> None:
        write(trainer, *arguments)
        if trainer.step >= 5:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(stage_run, "save_state", stopping)
        broken = flags(photos, runs / "broken", *first, "--stage", stage, steps=10)
        assert "Stopped" in call(train.main, *broken, "--resume").out
    assert 5 <= progress(runs / "broken", stage) < 10  # the first one after which it saves
    assert call(train.main, *flags(photos, runs / "broken", *first, "--resume", steps=10)).status == 0
    for each in ("vae", "denoiser"):
        one, other = (checkpoint.read_tensors(state_file(runs / name, each)) for name in ("whole", "broken"))
        assert all(tensor.equal(other[0][name]) for name, tensor in one[0].items())
        assert one[1] == other[1]
        scaler = json.loads(one[1]["scaler"])
        assert bool(scaler) == (precision == "fp16")  # its growth goes on where it was
        if scaler:
            assert scaler["_growth_tracker"] > 0
