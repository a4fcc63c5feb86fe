"""Uploads and results go when they are old, and nothing else does."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ui.files import cached, opened_upload, scratch
from ui.serving import sweep
from ui.serving.sweep import HOUR

A, B, C = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How many seconds later it is than it seems: files cannot be made old."""
    later = [0.0]
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + later[0])
    return later


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def test_after_an_hour_uploads_and_results_are_gone_and_so_are_their_folders(
    tmp_path: Path, clock: list[float]
) -> None:
    cache, results = tmp_path / "cache", tmp_path / "tmp"
    upload, broken, result = write(cache / A / "x.png"), write(cache / "tmpab12cd34"), write(results / "studio-1" / "y")
    os.utime(upload, (0, 0))  # as a copy of something old, made just now
    clock[0] = HOUR - 60
    assert sweep.sweep(cache, scratch=results) == 0
    clock[0] = HOUR + 60
    assert sweep.sweep(cache, scratch=results) == 3
    assert not any(path.exists() for path in (upload, broken, result, cache / A, results / "studio-1"))


def test_what_others_keep_there_stays(tmp_path: Path, clock: list[float]) -> None:
    cache, results = tmp_path / "cache", tmp_path / "tmp"
    secret = write(tmp_path / "secret" / "x.png")
    kept = [
        secret, write(cache / "notes.txt"), write(cache / "deep" / "x.png"), write(cache / A / "in" / "x"),
        write(results / "other" / "x"),
    ]  # fmt: skip
    (cache / B).symlink_to(secret.parent)
    (results / "studio-2").symlink_to(secret.parent)
    clock[0] = 2 * HOUR
    sweep.sweep(cache, scratch=results)
    assert all(path.exists() for path in kept)


def test_what_the_page_opens_with_stays_and_is_young_for_other_processes(tmp_path: Path, clock: list[float]) -> None:
    opens_with, upload = write(tmp_path / A / "x.png"), write(tmp_path / B / "x.png")
    os.utime(opens_with, (0, 0))
    sweep.sweep(tmp_path, [str(opens_with), str(tmp_path / C / "gone.png")], scratch=tmp_path)
    assert opens_with.stat().st_mtime > 0
    assert upload.exists()


def test_results_that_were_just_taken_away_do_not_end_a_sweep(tmp_path: Path) -> None:
    (tmp_path / "studio-1").mkdir()
    with os.scandir(tmp_path) as found:
        (entry,) = found
    (tmp_path / "studio-1").rmdir()  # by the handler that made it, while others are looked through
    assert not sweep._ours(entry)


def test_what_is_used_lives_on(tmp_path: Path, picture_folder: Path) -> None:
    upload = tmp_path / A / "x.png"
    write(upload).write_bytes((picture_folder / "00.png").read_bytes())
    os.utime(upload, (0, 0))
    opened_upload(str(upload))
    assert upload.stat().st_mtime > 0
    upload.unlink()
    with pytest.raises(Exception, match="not used for an hour; open it again"):
        opened_upload(str(upload))


def test_of_too_many_the_oldest_go_before_their_time_but_not_what_was_just_made(
    tmp_path: Path, clock: list[float]
) -> None:
    old, younger, opens_with = (write(tmp_path / place / "x.png") for place in (A, B, C))
    later = time.time() + 100
    os.utime(younger, (later, later))
    sweep.sweep(tmp_path, scratch=tmp_path, most=2)
    assert old.exists()  # it is too young
    clock[0] = sweep.AT_LEAST + 200
    assert sweep.sweep(tmp_path, [str(opens_with)], tmp_path, most=2) == 1
    assert not old.exists()
    assert younger.exists()
    assert opens_with.exists()


def test_folders_of_results_are_known_by_their_name() -> None:
    with scratch() as folder:
        assert Path(folder).name.startswith(sweep.PREFIX)


def test_previews_lie_where_it_sweeps(picture_folder: Path) -> None:
    path = Path(cached(opened_upload(str(picture_folder / "00.png"))))
    assert sweep.PLACE.fullmatch(path.parent.name)
