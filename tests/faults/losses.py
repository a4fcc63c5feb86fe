"""`python -m tests.faults.losses`: runs that are killed, cut off by a power failure or left without room, many times.

The ordinary tests take a few of each (`tests/faults/test_losses.py`, and the kills of `test_survival.py`). Whatever
happens to a run, it is resumed, or it is said in one sentence why it cannot be.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests import forked
from tests.runs import STEPS, assert_complete, assert_same_result, flags, write_pictures

KILLS, CUTS = 50, 100
SENTENCE = "Error: "


def killed(photos: Path, whole: Path, folder: Path, kills: int, seed: int = 0) -> int:
    """Kill runs at random moments, and resume each to the result it would have come to; how many runs that were.

    Args:
        whole: a run that nothing happened to.
    """
    draw, output = random.Random(seed), folder / "killed"
    began = time.monotonic()
    assert forked.finish(flags(photos, folder / "timed"), output) == 0
    length, done, life = time.monotonic() - began, 0, 0
    while done < kills:
        life += 1
        out, ended = folder / f"life-{life}", False
        while not ended:
            process = forked.start(flags(photos, out, "--resume"), output)
            process.join(draw.uniform(0, length) if done < kills else None)
            if ended := process.exitcode is not None:
                assert process.exitcode == 0, output.read_text()
            else:
                os.kill(process.pid or 0, signal.SIGKILL)
                process.join()
                done += 1
            assert_complete(out)
        assert_same_result(out, whole)
    assert "Traceback" not in output.read_text()
    return life


def cut(whole: Path, folder: Path, count: int, seed: int = 0) -> Iterator[tuple[str, Path]]:
    """Copies of a run, one after the other, in which one file ends at any of its bytes; and which, and where."""
    draw = random.Random(seed)
    files = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    turns = [file for _ in range(-(-count // len(files))) for file in draw.sample(files, len(files))]
    for number, file in enumerate(turns[:count]):
        out = folder / f"cut-{number}"
        shutil.copytree(whole, out)
        content = (whole / file).read_bytes()
        end = draw.choice([0, draw.randrange(len(content) + 1), max(0, len(content) - 1)])
        (out / file).write_bytes(content[:end])
        yield f"{file} cut at {end} of {len(content)}", out
        shutil.rmtree(out)


def resumed(photos: Path, out: Path, output: Path, steps: int = STEPS) -> bool:
    """Resume a run; whether it came to its end, and not to a sentence that says why it cannot.

    Raises:
        AssertionError: it ended in any other way.
    """
    output.unlink(missing_ok=True)
    status = forked.finish(flags(photos, out, "--resume", steps=steps), output)
    text = output.read_text()
    assert "Traceback" not in text, text
    if status == 0:
        assert f"Done: {out}" in text, text
        return True
    assert status == 2, text
    assert text.splitlines()[-1].startswith(SENTENCE), text
    return False


def no_room_from(number: int) -> None:
    """From the write of that number on, counted from 0, the disk of this process is full."""
    sync, left = os.fsync, [number]

    def full(descriptor: int) -> None:
        if left[0] <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= 1
        sync(descriptor)

    os.fsync = full


def full_at(number: int, photos: Path, whole: Path, folder: Path) -> bool:
    """Fill the disk at that write of a run, make room, and resume it; whether there was such a write.

    Raises:
        AssertionError: it was not told in a sentence, or the run came to another result.
    """
    out, output = folder / f"full-{number}", folder / f"full-{number}.log"
    status = forked.finish(flags(photos, out), output, partial(no_room_from, number))
    text = output.read_text()
    assert "Traceback" not in text, text
    if status == 0:
        return False
    assert status == 2, text
    assert "No space left on device" in text.splitlines()[-1], text
    if out.exists():
        assert_complete(out)
    assert resumed(photos, out, output)
    assert_same_result(out, whole)
    return True


def main() -> None:
    """All of it; a line of each kind."""
    out = sys.stdout.write
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos, whole = write_pictures(folder / "photos"), folder / "whole"
        assert forked.finish(flags(photos, whole), folder / "output") == 0
        lives = killed(photos, whole, folder, KILLS)
        out(f"killed at {KILLS} random moments: {lives} runs, all resumed to the same result\n")
        results = [resumed(photos, copy, folder / "output", STEPS + 1) for _, copy in cut(whole, folder, CUTS)]
        out(
            f"a file cut off anywhere, {CUTS} times: {sum(results)} resumed, {CUTS - sum(results)} told in a sentence\n"
        )
        writes = 0
        while full_at(writes, photos, whole, folder):
            writes += 1
        out(f"a full disk at each of {writes} writes: all told in a sentence, and resumed to the same result\n")


if __name__ == "__main__":
    main()
