"""Training runs of the app: the process, from outside; what trains is a stand-in, but for one test."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ddpm_core.checkpoints.folders import list_checkpoints
from ddpm_core.commands import train
from tests.command_lines import Outcome
from ui.errors import Problem
from ui.training.order import Order
from ui.training.process import Progress, Run
from ui.training.runs import Trainings, audience, checked

pytestmark = pytest.mark.integration

FAKE = (sys.executable, str(Path(__file__).parents[1] / "fake_training.py"))
PATIENCE = 300  # seconds; an interpreter takes its time to start on a busy machine
HERE = {"host": "127.0.0.1:7860"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder for checkpoints."""
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


@pytest.fixture
def trainings(root: Path) -> Iterator[Trainings]:
    """The runs of an app that is open to whoever is here."""
    with Trainings(root, "cpu", "here", FAKE) as runs:
        yield runs


def order(about: str = "", **fields: object) -> Order:
    return Order.of(**{"preset": "tiny", "iterations": 3, "about": about, **fields})


def ended(run: Run) -> Progress:
    assert run.wait(PATIENCE)
    return run.progress()


def begun(run: Run) -> None:
    """Wait until a run that waits to be stopped has taken its step."""
    until = time.monotonic() + PATIENCE
    while run.progress().state != "training":
        assert time.monotonic() < until, run.output.read_text()
        time.sleep(0.05)


def keep(archive: Path) -> None:
    archive.write_text("pictures")


@pytest.mark.parametrize(
    ("host", "share", "allowed", "who"),
    [
        ("127.0.0.1", False, None, "here"),
        ("127.8.0.1", False, None, "here"),
        ("localhost", False, None, "here"),
        ("::1", False, None, "here"),
        ("0.0.0.0", False, None, "nobody"),
        ("::", False, None, "nobody"),
        ("192.168.1.7", False, None, "nobody"),
        ("studio.example", False, None, "nobody"),
        ("127.0.0.1", True, None, "nobody"),
        ("0.0.0.0", False, True, "everybody"),
        ("127.0.0.1", True, True, "everybody"),
        ("127.0.0.1", False, False, "nobody"),
    ],
)
def test_who_may_train(host: str, share: bool, allowed: bool | None, who: str) -> None:
    assert audience(host, share, allowed) == who


@pytest.mark.parametrize(
    ("headers", "admitted"),
    [
        (HERE, True),
        ({"Host": "localhost:7860"}, True),
        ({"host": "[::1]:7860"}, True),
        ({}, False),
        ({"host": "studio.example"}, False),
        ({**HERE, "x-forwarded-for": "10.0.0.5"}, False),
        ({**HERE, "X-Forwarded-Host": "studio.example"}, False),
        ({**HERE, "forwarded": "for=10.0.0.5"}, False),
    ],
)
def test_here_is_without_a_proxy_and_by_a_local_name(root: Path, headers: dict[str, str], admitted: bool) -> None:
    assert Trainings(root, open_to="here").admits(headers) is admitted
    assert not Trainings(root).admits(headers)
    assert Trainings(root, open_to="everybody").admits(headers)


@pytest.mark.parametrize("name", ["", None, ".", "..", "../x", "a/b", "a\\b", "a.b", "a b", "ä", "x" * 41, "x\n"])
def test_names_stay_in_their_folder(trainings: Trainings, root: Path, name: str | None) -> None:
    with pytest.raises(Problem, match="letters, digits"):
        trainings.start(name, order(), keep)  # type: ignore[arg-type]
    assert list(root.rglob("*")) == []


def test_good_names() -> None:
    for name in ("mine", "A-1_b", "x" * 40, "-"):
        assert checked(name) == name


@pytest.mark.parametrize("looks", [True, False])
def test_nothing_is_overwritten(trainings: Trainings, root: Path, monkeypatch: pytest.MonkeyPatch, looks: bool) -> None:
    (root / "faces" / "training").mkdir(parents=True)
    (root / "faces" / "training" / "order.json").write_text("{}")
    if not looks:  # another process makes the folder a moment after anybody has looked
        monkeypatch.setattr(Path, "exists", lambda path: False)
    with pytest.raises(Problem, match="'faces' already"):
        trainings.start("faces", order(), keep)
    assert [path.name for path in root.rglob("*")] == ["faces", "training", "order.json"]


def test_the_folder_of_checkpoints_may_be_missing_and_must_be_one(root: Path) -> None:
    with Trainings(root / "new", "cpu", "here", FAKE) as trainings:
        assert ended(trainings.start("mine", order(), keep)).state == "finished"
    (root / "letter").write_text("dear")
    with pytest.raises(Problem, match="'mine' could not be written: Not a directory"):
        Trainings(root / "letter" / "new", "cpu", "here", FAKE).start("mine", order(), keep)


def test_a_run_from_beginning_to_end(trainings: Trainings, root: Path) -> None:
    run = trainings.start("mine", order(), keep)
    assert (root / "mine/training/order.json").is_file()
    progress = ended(run)
    assert (progress.state, progress.row_count, progress.status["percent"]) == ("finished", 6, 100)
    assert "mine is finished" in progress.status["text"]
    assert list_checkpoints(root) == ["mine"]
    assert trainings.unfinished() == []
    assert not (root / "mine/training/pictures.zip").exists()  # needed for resuming alone
    grid = run.log.grid()
    assert grid is not None
    assert (grid.stage, grid.step) == ("denoiser", 3)
    assert run.log.losses["denoiser"].held_out == [(1, 2), (2, 1), (3, 2 / 3)]


def test_pictures_that_nobody_can_use_leave_nothing(trainings: Trainings, root: Path) -> None:
    def refuse(archive: Path) -> None:
        raise Problem("There are none.")

    with pytest.raises(Problem, match="There are none"):
        trainings.start("mine", order(), refuse)
    assert list(root.iterdir()) == []


def test_a_disk_that_cannot_be_written_is_reported(trainings: Trainings, root: Path) -> None:
    def full(archive: Path) -> None:
        archive.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(Problem, match="'mine' could not be written: No space left"):
        trainings.start("mine", order(), full)
    assert list(root.iterdir()) == []


def test_stop_and_resume(trainings: Trainings, root: Path) -> None:
    run = trainings.start("mine", order("wait"), keep)
    begun(run)
    assert run.progress().status["text"] == "step 1 of 3 · stage 1 of 2: autoencoder"
    assert trainings.unfinished() == []  # it goes on
    with pytest.raises(Problem, match="'mine' is being trained"):
        trainings.start("other", order(), keep)
    with pytest.raises(Problem, match="'mine' is being trained"):
        trainings.resume("mine")
    trainings.stop()
    progress = ended(run)
    assert (progress.state, progress.running) == ("stopped", False)
    assert progress.status["text"] == "Stopped at step 1 of 3, autoencoder. Resume goes on from there."
    assert trainings.unfinished() == ["mine"]
    assert (root / "mine/training/pictures.zip").read_text() == "pictures"

    again = trainings.resume("mine")
    assert ended(again).state == "finished"
    assert [again.log.losses[stage].steps for stage in again.log.losses] == [[1, 2, 3], [1, 2, 3]]
    with pytest.raises(Problem, match="no such run"):
        trainings.resume("mine")


@pytest.mark.parametrize("name", ["nosuch", "../mine", "", None])
def test_only_runs_there_are_can_be_gone_on_with(trainings: Trainings, name: str | None) -> None:
    with pytest.raises(Problem, match="no such run"):
        trainings.resume(name)


def test_the_commands_sentence_is_reported_and_the_name_is_free_again(trainings: Trainings, root: Path) -> None:
    progress = ended(trainings.start("mine", order("refuse"), keep))
    assert (progress.state, progress.status["text"]) == ("failed", "There are no pictures in mine/training.")
    assert list(root.iterdir()) == []
    assert ended(trainings.start("mine", order(), keep)).state == "finished"


def test_a_crash_names_the_log_and_can_be_gone_on_with(trainings: Trainings, root: Path) -> None:
    progress = ended(trainings.start("mine", order("crash"), keep))
    assert progress.state == "failed"
    assert "mine/training/output.log" in progress.status["text"]
    assert "Traceback" not in progress.status["text"]
    assert "out of luck" in (root / "mine/training/output.log").read_text()
    assert trainings.unfinished() == ["mine"]


@pytest.mark.parametrize("about", ["full", "wait full"])
def test_a_last_save_that_fails_is_reported_and_can_be_gone_on_with(
    trainings: Trainings, root: Path, about: str
) -> None:
    """All steps are in the log, or somebody has pressed Stop, and weights were saved before: still it has failed."""
    run = trainings.start("mine", order(about), keep)
    if "wait" in about:
        begun(run)
        trainings.stop()
    progress = ended(run)
    assert progress.state == "failed"
    assert "cannot be written (No space left on device)" in progress.status["text"]
    assert (root / "mine/training/pictures.zip").read_text() == "pictures"
    assert trainings.unfinished() == ["mine"]
    assert ended(trainings.resume("mine")).state == "finished"
    assert not (root / "mine/training/pictures.zip").exists()


def test_a_run_that_is_stopped_before_it_listens_has_not_failed(root: Path) -> None:
    deaf = (sys.executable, "-c", "import time; time.sleep(600)")
    with Trainings(root, "cpu", "here", deaf) as trainings:
        run = trainings.start("mine", order(), keep)
        trainings.stop()
        assert ended(run).state == "stopped"


def test_a_run_that_is_killed_while_it_saves_after_stop_has_failed(trainings: Trainings) -> None:
    run = trainings.start("mine", order("wait"), keep)
    begun(run)
    run._stop_requested = True  # and before it has heard of it, the machine runs out of memory
    run.process.kill()
    assert ended(run).state == "failed"


def test_the_run_ends_with_the_app_and_the_next_app_goes_on(root: Path) -> None:
    with Trainings(root, "cpu", "here", FAKE) as first:
        run = first.start("mine", order("wait"), keep)
        begun(run)
    assert ended(run).state == "stopped"
    assert ended(Trainings(root, "cpu", "here", FAKE).resume("mine")).state == "finished"


def test_a_run_that_is_refused_when_resumed_loses_nothing(trainings: Trainings, root: Path) -> None:
    (root / "mine/training").mkdir(parents=True)  # stopped before it had read the pictures
    (root / "mine/training/order.json").write_text(order("refuse").model_dump_json())
    (root / "mine/training/pictures.zip").write_text("pictures")
    assert ended(trainings.resume("mine")).state == "failed"
    assert (root / "mine/training/pictures.zip").read_text() == "pictures"
    assert trainings.unfinished() == ["mine"]


def test_what_is_no_order_is_not_offered(trainings: Trainings, root: Path) -> None:
    for name, text in (("a", "not json"), ("b", '{"preset": "nosuch"}'), ("c", '{"preset": "tiny", "size": -1}')):
        (root / name / "training").mkdir(parents=True)
        (root / name / "training" / "order.json").write_text(text)
    assert trainings.unfinished() == []


def test_the_real_command_takes_the_order(
    picture_folder: Path, root: Path, trainings: Trainings, call: Callable[..., Outcome]
) -> None:
    """And an unfinished run of the page is finished by the shell's command with --resume, for the page too."""
    requested = order("--by hand, MIT", data=picture_folder, iterations=2, batch_size=2, size=16, sample_every=1)
    out = root / "mine"
    (out / "training").mkdir(parents=True)
    (out / "training" / "order.json").write_text(requested.model_dump_json())
    assert trainings.unfinished() == ["mine"]
    done = call(train.main, *requested.arguments(out, "cpu"), "--resume")
    assert done.status == 0, done.err
    assert trainings.unfinished() == []
    assert '"--by hand, MIT"' in (out / "config.json").read_text()
