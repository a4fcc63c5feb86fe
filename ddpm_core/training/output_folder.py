"""The folder that a run writes to."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from ddpm_core.checkpoints.atomic import CheckpointError, UnwritableError, forget_partials

LOCK, PROBE = ".lock", ".probe"  # in training/


@contextlib.contextmanager
def claimed(out: Path) -> Iterator[None]:
    """Have a checkpoint folder for this process alone, cleared of what interrupted writes left in it.

    Folders made are removed again if still empty. Raises `CheckpointError` if another process trains there,
    `UnwritableError` if nothing can be written.
    """
    notes = out / "training"
    created = [folder for folder in (notes, *notes.parents) if not os.path.lexists(folder)]
    lock = FileLock(notes / LOCK, timeout=0)  # the operating system's: it ends with the process
    try:
        try:
            notes.mkdir(parents=True, exist_ok=True)
            lock.acquire()
            try:
                (notes / PROBE).write_bytes(b"probe")  # a full disk makes a file, but puts no byte into it
            finally:
                (notes / PROBE).unlink(missing_ok=True)
        except Timeout:
            raise CheckpointError(
                f"Another process is training in {out}; wait for it, end it, or choose another --out."
            ) from None
        except (OSError, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UnwritableError(f"{out} cannot be written to ({reason}).", reason) from None
        for folder in (out, notes):
            forget_partials(folder)
        yield
    finally:
        if lock.is_locked:
            with contextlib.suppress(OSError):
                (notes / LOCK).unlink()
            lock.release()
        with contextlib.suppress(OSError):  # they are not empty, or were never made
            for folder in created:
                folder.rmdir()
