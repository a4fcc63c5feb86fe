"""What goes wrong around a run: no room, numbers that are not finite, other settings."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import UnwritableError
from ddpm_core.commands import train
from ddpm_core.training import loop
from ddpm_core.training.record.journal import Journal, rows_of
from ddpm_core.training.shards import MicroBatch
from ddpm_core.training.stages import run as stage_run
from ddpm_core.training.stages.run import state_file
from ddpm_core.training.stages.vae import VaeStage
from tests import forked
from tests.command_lines import Outcome
from tests.runs import STEPS, assert_complete, assert_same_result, flags, progress, write_pictures


def assert_one_sentence(status: int | None, output: str, *words: str) -> None:
    """The command ended with status 2, and its last line is the one sentence."""
    assert status == 2, output
    assert "Traceback" not in output
    assert "Exception" not in output
    line = output.splitlines()[-1]
    assert line.startswith("Error: ")
    for word in words:
        assert word in line


def stop_after(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the run asked to stop once the state of that step is written."""
    save = stage_run.save_state

    def stopping(trainer: loop.Trainer, *arguments: Any) -> None:
        save(trainer, *arguments)
        if trainer.step == step:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(stage_run, "save_state", stopping)


@pytest.fixture
def stopped_run(call, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of which two steps of the autoencoder are done and saved."""
    out = tmp_path / "begun"
    with monkeypatch.context() as patch:
        stop_after(2, patch)
        assert call(train.main, *flags(photos, out)).status == 0
    assert progress(out, "vae") == 2
    return out


# No room


def limit_files(size: int) -> None:
    """Let no file of this process grow beyond `size` bytes: to who writes it looks like a disk that is full."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


# Of the files of such a run, the state has half a megabyte, a grid twenty kilobytes, the settings one and a half, and
# a row of the log a hundred and fifty bytes.
@pytest.mark.parametrize(
    ("size", "more", "file"),
    [
        (300_000, [], "vae.safetensors"),
        (10_000, ["--sample-every", 1], "vae-000003.png"),
        (2_500, ["--save-every", 10**6, "--iterations", 60], ""),  # the log or the event files, whichever is first
        (1_000, [], "vae.json "),
    ],
)
def test_a_full_disk_is_reported_in_a_sentence_and_spoils_nothing(
    call, photos: Path, finished_run: Path, stopped_run: Path, tmp_path: Path, size: int, more: list, file: str
) -> None:
    output = tmp_path / "output"
    before = {path: path.read_bytes() for path in stopped_run.rglob("*.safetensors")}
    ended = forked.finish([*flags(photos, stopped_run, "--resume"), *more], output, partial(limit_files, size))
    assert_one_sentence(
        ended, output.read_text(), f"{stopped_run / 'training'}/{file}", "(File too large)", "make room", "--resume"
    )
    assert before == {path: path.read_bytes() for path in stopped_run.rglob("*.safetensors")}
    assert not list(stopped_run.rglob(".*"))  # nor does it take room
    assert_complete(stopped_run)
    assert call(train.main, *flags(photos, stopped_run, "--resume")).status == 0
    if "--sample-every" not in more:
        assert_same_result(stopped_run, finished_run)


def test_a_disk_without_room_for_anything_ends_the_run_before_it_begins(photos: Path, tmp_path: Path) -> None:
    ended = forked.finish(flags(photos, tmp_path / "out" / "run"), Path(os.devnull), partial(limit_files, 0))
    assert ended == 2
    assert not (tmp_path / "out").exists()


def test_the_systems_own_word_for_a_full_disk_arrives(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("old")
    with pytest.raises(UnwritableError, match=r"config\.json cannot be written \(No space left on device\)\.$"):
        checkpoint.write_atomically(tmp_path / "config.json", lambda _: Path("/dev/full").write_text("new"))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_log_that_cannot_be_written_to_is_reported_once(tmp_path: Path) -> None:
    step = loop.TrainStep(1, {"loss": 1.0}, 1e-3, 1.0, 0)
    full = pytest.raises(UnwritableError, match=r"vae\.jsonl cannot be written \(No space left on device\)")
    with full, Journal(tmp_path, "vae") as journal:
        journal.log.close()
        journal.log = open("/dev/full", "a", encoding="utf-8")  # noqa: SIM115
        journal.write(step, {})


def test_event_files_that_cannot_be_written_to_are_reported_in_a_sentence(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    more = ["--stage", "vae", "--save-every", 10**6]
    ended = forked.finish([*flags(photos, tmp_path / "run"), *more], output, no_room_for_events)
    assert_one_sentence(ended, output.read_text(), "tensorboard cannot be written", "No space left on device")


def no_room_for_events() -> None:
    """Have the thread that writes event files meet a full disk."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    def write(self: RecordWriter, content: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    RecordWriter.write = write


# Numbers that are not finite


def spoil(monkeypatch: pytest.MonkeyPatch, bad: Callable[[int], bool]) -> None:
    """Have the autoencoder's loss not finite at some draws."""
    loss = VaeStage.loss

    def spoilt(stage: VaeStage, model: Any, micro_batch: MicroBatch) -> dict[str, Tensor]:
        return {
            name: term * (math.nan if bad(micro_batch.number) else 1)
            for name, term in loss(stage, model, micro_batch).items()
        }

    monkeypatch.setattr(VaeStage, "loss", spoilt)


def test_bad_steps_are_skipped_counted_and_shown_and_saving_waits_for_a_good_one(
    call, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, saved, save = tmp_path / "run", [], stage_run.save_state

    def noted(trainer: loop.Trainer, *arguments: Any) -> None:
        saved.append(trainer.step)
        save(trainer, *arguments)

    spoil(monkeypatch, lambda number: number in (1, 2))
    monkeypatch.setattr(stage_run, "save_state", noted)
    outcome = call(train.main, *flags(photos, out, "--stage", "vae", "--save-every", 2))
    assert outcome.status == 0
    assert "2 skipped" in outcome.err
    assert "loss nan" not in outcome.err  # it shows the good steps'
    rows = rows_of(out / "training" / "vae.jsonl")
    assert [row["skipped"] for row in rows] == [0, 1, 2, 2, 2, 2]
    assert saved == [4, 6]
    assert json.loads(checkpoint.read_tensors(state_file(out, "vae"))[1]["progress"])["skipped"] == 2


def test_a_skipped_step_leaves_every_weight_as_it_was(
    call, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = []
    for name, bad in (("none", ()), ("last", (5,))):
        with monkeypatch.context() as patch:
            spoil(patch, lambda draw, bad=bad: draw in bad)
            steps = 5 if name == "none" else 6
            # The same learning rate at every step, whatever the number of them.
            patch.setattr(loop, "learning_rate_at", lambda step, settings: 1e-3)
            assert call(train.main, *flags(photos, tmp_path / name, "--stage", "vae", steps=steps)).status == 0
        states.append(checkpoint.read_tensors(state_file(tmp_path / name, "vae"))[0])
    weights = [name for name in states[0] if ".latent_" not in name]  # those are measured when it is saved
    assert all(states[0][name].equal(states[1][name]) for name in weights)


def test_many_bad_steps_in_a_row_end_the_run_and_the_last_good_state_goes_on(
    call, photos: Path, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        spoil(patch, lambda number: number >= 3)
        patch.setattr(loop, "MAX_SKIPPED_IN_A_ROW", 1)
        outcome = call(train.main, *flags(photos, out))
    assert_one_sentence(outcome.status, outcome.err, "2 steps in a row", "not finite", "lower learning rate")
    assert progress(out, "vae") == 3
    assert_complete(out)
    checkpoint.load_vae(out)
    assert call(train.main, *flags(photos, out, "--resume")).status == 0
    assert_same_result(out, finished_run)


def test_stopping_among_bad_steps_keeps_the_last_good_state(
    call, photos: Path, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"

    def bad(draw: int) -> bool:
        if draw == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return draw >= 3

    with monkeypatch.context() as patch:
        spoil(patch, bad)
        outcome = call(train.main, *flags(photos, out))
    assert outcome.status == 0
    assert "what was saved after step 3 stands" in outcome.out
    assert progress(out, "vae") == 3
    assert call(train.main, *flags(photos, out, "--resume")).status == 0
    assert_same_result(out, finished_run)


# Other settings


def resumed(call, photos: Path, out: Path, *more: object) -> Outcome:
    return call(train.main, *flags(photos, out, "--resume", "--stage", "vae"), *more)


def test_resuming_with_what_it_had_has_nothing_to_say(
    call, photos: Path, stopped_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)  # the same folder under another name
    outcome = resumed(call, Path("photos"), stopped_run, "--save-every", 3)
    assert outcome.out.splitlines() == ["12 pictures to train on, 0 held out.", f"Done: {stopped_run}"]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--batch-size", 3], "--vae-batch-size was 2 and is 3 from here on."),
        (["--seed", 5], "--seed was 0 and is 5 from here on."),
        (["--size", 32], "--size was 16 and is 32 from here on."),
        (["--no-flips"], "--flips was True and is False from here on."),
        (["--vae-learning-rate", 1e-5], "--vae-learning-rate was 0.0005 and is 1e-05 from here on."),
        (["--iterations", STEPS + 2], f"--vae-iterations was {STEPS} and is {STEPS + 2} from here on."),
    ],
)
def test_what_is_not_as_it_was_is_reported_in_a_line(
    call, photos: Path, stopped_run: Path, more: list, sentence: str
) -> None:
    outcome = resumed(call, photos, stopped_run, *more)
    assert outcome.status == 0, outcome.err
    assert [line for line in outcome.out.splitlines() if "from here on" in line] == [sentence]
    steps = STEPS + 2 if "--iterations" in more else STEPS
    assert [row["step"] for row in rows_of(stopped_run / "training" / "vae.jsonl")] == list(range(1, steps + 1))


def test_other_pictures_are_noticed_in_another_folder_and_in_the_same(call, stopped_run: Path, tmp_path: Path) -> None:
    other = write_pictures(tmp_path / "other", count=15)
    first = resumed(call, other, stopped_run, "--vae-iterations", 3).out
    assert f"and is {other} from here on." in first
    assert "Pictures: 12 when the run was saved, 15 from here on." in first
    shutil.copy(other / "00.png", other / "16.png")
    second = resumed(call, other, stopped_run, "--vae-iterations", 3).out
    assert "Pictures: 15 when the run was saved, 16 from here on." in second
    assert "--data was" not in second


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--vae-channels", "16,24"], ["--vae-channels was 16,16 and cannot become 16,24"]),
        (["--vae-full-width", 16], ["--vae-full-width was 8"]),
        (["--vae-latent-channels", 6], ["--vae-latent-channels was 4"]),
    ],
)
def test_what_cannot_change_is_refused_in_a_sentence(
    call, photos: Path, stopped_run: Path, more: list, words: list[str]
) -> None:
    before = state_file(stopped_run, "vae").read_bytes()
    outcome = resumed(call, photos, stopped_run, *more)
    assert_one_sentence(outcome.status, outcome.err, "other settings", "--out", *words)
    assert state_file(stopped_run, "vae").read_bytes() == before


def test_a_denoiser_cannot_change_what_it_puts_out_and_hears_that_its_autoencoder_learned_on(
    call, photos: Path, finished_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(finished_run, out)
    refused = call(train.main, *flags(photos, out, "--resume", "--denoiser-prediction", "eps"))
    assert_one_sentence(refused.status, refused.err, "--denoiser-prediction was v and cannot become eps")
    outcome = call(train.main, *flags(photos, out, "--resume", steps=STEPS + 1))
    assert outcome.status == 0, outcome.err
    assert f"Autoencoder: {STEPS} steps when the run was saved, {STEPS + 1} steps from here on." in outcome.out
    assert progress(out, "denoiser") == STEPS + 1


def test_raising_the_iterations_of_a_finished_run_trains_on(
    call, photos: Path, finished_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(finished_run, out)
    assert resumed(call, photos, out, "--iterations", STEPS + 3).status == 0
    assert checkpoint.finished_after(out / checkpoint.CODEC_WEIGHTS) == STEPS + 3
    assert (out / checkpoint.CODEC_WEIGHTS).read_bytes() != (finished_run / checkpoint.CODEC_WEIGHTS).read_bytes()


def test_other_classes_are_refused_even_if_they_are_as_many(call, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for name, classes in (("one", (3, 5)), ("other", (3, 7))):
        label = np.array(classes, np.uint8)[np.arange(20) % 2]
        np.savez(tmp_path / f"{name}.npz", x_train=draw.integers(0, 256, (20, 8, 8)).astype(np.uint8), y_train=label)
    out, pixel = tmp_path / "run", ["--codec", "pixel", "--size", 8]
    assert call(train.main, *flags(tmp_path / "one.npz", out, *pixel, steps=2)).status == 0
    before = state_file(out, "denoiser").read_bytes()
    outcome = call(train.main, *flags(tmp_path / "other.npz", out, *pixel, "--resume", steps=3))
    assert_one_sentence(outcome.status, outcome.err, "other classes (3, 5)", "(3, 7)", "--init")
    assert state_file(out, "denoiser").read_bytes() == before
