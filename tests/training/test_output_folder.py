"""The folder of a run: that it can be written to is known before pictures are read, and it is one process's alone."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ddpm_core.checkpoints import atomic
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.commands import train
from ddpm_core.data import load as data
from ddpm_core.training.output_folder import claimed
from tests import forked
from tests.command_lines import assert_refused
from tests.runs import flags


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """No picture may be read."""

    def read(*_: Any) -> None:
        raise AssertionError("the pictures were read")

    monkeypatch.setattr(data, "open_picture", read)


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize("where", ["file/run", "file", "/proc/self/run", "/dev/null/run"])
def test_a_folder_that_cannot_be_made_is_reported_before_the_pictures_are_read(
    call, photos: Path, tmp_path: Path, where: str
) -> None:
    (tmp_path / "file").write_text("no folder")
    outcome = call(train.main, *flags(photos, tmp_path / where))
    assert_refused(outcome, str(tmp_path / where), "cannot be written to", "choose another --out")


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_that_takes_no_files_is_reported_before_the_pictures_are_read(
    call, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool
) -> None:
    out, write = tmp_path / "a" / "run", Path.write_bytes
    if exists:
        out.mkdir(parents=True)

    def refused(path: Path, content: bytes) -> int:
        if out in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", refused)
    outcome = call(train.main, *flags(photos, out))
    assert_refused(outcome, f"{out} cannot be written to (Permission denied)", "--out")
    assert sorted(path.name for path in tmp_path.rglob("*")) == (["a", "run"] if exists else [])


@pytest.mark.usefixtures("unread")
def test_a_folder_in_which_another_process_trains_is_refused(call, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with claimed(out):
        assert_refused(call(train.main, *flags(photos, out)), "Another process is training", str(out), "--out")
        with claimed(tmp_path / "other"):
            pass
    with claimed(out):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.integration
def test_what_a_kill_leaves_of_a_claim_is_no_claim(tmp_path: Path) -> None:
    output, out = tmp_path / "output", tmp_path / "run"
    assert forked.finish([], output, partial(claim_and_die, out)) == -signal.SIGKILL
    assert any((out / "training").iterdir())
    room = out / "training" / atomic.PARTIAL.format("vae.safetensors")
    room.mkdir()
    (room / ".tmpAbCdEf").write_text("half")
    with claimed(out):
        assert not room.exists()
    assert not any((out / "training").iterdir())


def claim_and_die(out: Path) -> None:
    """Be killed while a folder is claimed."""
    with claimed(out):
        os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_run_leaves_stays_and_folders_it_left_empty_go(tmp_path: Path) -> None:
    with claimed(tmp_path / "deep" / "run"):
        (tmp_path / "deep" / "run" / "training" / "vae.jsonl").write_text("{}")
    assert [path.name for path in (tmp_path / "deep" / "run").rglob("*")] == ["training", "vae.jsonl"]
    (tmp_path / "there").mkdir()
    with claimed(tmp_path / "there"):
        pass
    assert (tmp_path / "there").is_dir()  # it was there before
    assert not list((tmp_path / "there").iterdir())


def test_a_run_that_fails_gives_the_folder_back(tmp_path: Path) -> None:
    with pytest.raises(KeyError), claimed(tmp_path / "run"):
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    with claimed(tmp_path / "run"), pytest.raises(CheckpointError, match="Another process"), claimed(tmp_path / "run"):
        pass
