"""Files that are whole or not there; tensors as safetensors. No pickle: reading runs nothing."""

from __future__ import annotations

import math
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ddpm_core.errors import UserError

PARTIAL = ".{}.partial"  # the folder in which a file is made before it is put in place
AROUND_THE_REASON = re.compile(  # by safetensors, of the reason
    r"^Error while serializing: (I/O error: )?| \(os error \d+\)$"
)


class CheckpointError(UserError):
    """A checkpoint that cannot be used; the message names the file."""


class UnwritableError(UserError, OSError):
    """A file that cannot be written; the message says why, `strerror` is the system's reason alone."""

    def __init__(self, sentence: str, reason: str):
        super().__init__(sentence)
        self.strerror = reason


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What fails inside to write `path` is said in a sentence.

    Raises:
        UnwritableError: the disk is full, the folder takes no files, and the like.
    """
    try:
        yield
    except UnwritableError:
        raise
    except (OSError, SafetensorError) as error:  # safetensors tells of a full disk in an error of its own
        reason = getattr(error, "strerror", None) or AROUND_THE_REASON.sub("", str(error))
        raise UnwritableError(f"{path} cannot be written ({reason}).", reason) from None


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` fill a file, then put it in place at once; a kill may leave its hidden folder (`forget_partials`).

    Raises:
        UnwritableError: it could not be written; what was there before is untouched.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        room = path.with_name(PARTIAL.format(path.name))
        forget(room)
        room.mkdir()
        try:
            partial = room / path.name
            partial.touch()
            mode = partial.stat().st_mode  # what the user's umask makes of a new file; safetensors' are private
            write(partial)
            with suppress(OSError):  # where files have no such thing
                partial.chmod(mode)
            with open(partial, "rb") as file:
                os.fsync(file.fileno())
            os.replace(partial, path)
        finally:
            forget(room)


def forget(room: Path) -> None:
    """Remove what an interrupted write left."""
    if room.is_dir() and not room.is_symlink():
        shutil.rmtree(room, ignore_errors=True)
    else:
        room.unlink(missing_ok=True)


def forget_partials(folder: Path) -> None:
    """Remove what interrupted writes left in a folder that nobody else writes to now."""
    for room in folder.glob(PARTIAL.format("*")):
        forget(room)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write named tensors as one safetensors file, atomically."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, lambda partial: save_file(contiguous, partial, metadata=metadata))


def read_tensors(path: Path, advice: str = "get it again") -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a safetensors file and its metadata; `advice` is what to do where it is damaged.

    Raises:
        CheckpointError: the file is missing or not whole.
    """
    with reading(path, advice), safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


def sizes_in(path: Path) -> list[int]:
    """How many tensors a safetensors file has, and all their sides; none of them is read.

    Raises:
        CheckpointError: the file is missing or not whole.
    """
    with reading(path), safe_open(path, framework="pt") as file:
        shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
    return [len(shapes), *(side for shape in shapes for side in shape)]


def numbers_in(path: Path) -> int:
    """How many numbers the tensors of a safetensors file have together; none of them is read.

    Raises:
        CheckpointError: the file is missing or not whole.
    """
    with reading(path), safe_open(path, framework="pt") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118


@contextmanager
def reading(path: Path, advice: str = "get it again") -> Iterator[None]:
    """What fails inside to read a safetensors file is said in a sentence, a `CheckpointError`."""
    try:
        yield
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing; the checkpoint is incomplete.") from None
    except Exception as error:  # safetensors has its own, and torch those for kinds of numbers it does not know
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path} is damaged or not a safetensors file ({reason}); {advice}.") from None
