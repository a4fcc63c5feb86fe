"""The pictures that a run learns from, read once, and the list of files that could not be used."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from textwrap import shorten

from torch import Tensor

from ddpm_core.checkpoints.atomic import write_atomically
from ddpm_core.checkpoints.stored import chunks_of
from ddpm_core.data.find import find
from ddpm_core.data.load import NoPictures, PictureSet, Skipped
from ddpm_core.images.files import Source
from ddpm_core.networks.text import vocabulary
from ddpm_core.training.distributed import ALONE, World
from ddpm_core.training.settings import TrainRequest
from ddpm_core.training.stored_pictures import Watch, read_split, refuse_without_room

SKIPPED = "skipped.txt"  # in training/, see `describe`
DATA = "data.txt"  # in training/: what was found in the data, a sentence a line


@dataclass
class Pictures:
    """The run's pictures, read once for both stages."""

    train: PictureSet
    held_out: PictureSet | None
    files: int  # pictures read for training, before views multiply them
    classes: tuple[str, ...] = ()
    skipped: list[Skipped] = field(default_factory=list)  # files that could not be used, of both parts
    notes: list[str] = field(default_factory=list)  # sentences on the data, see `DataSet`
    unused: str = ""  # what else is in the data, see `DataSet`
    words: tuple[str, ...] = ()  # of the captions to learn from

    @cached_property
    def basis(self) -> dict[str, str]:
        """What a stage learns from, in words: how many pictures, and fingerprints of their pixels and classes."""
        basis = {"pictures": str(len(self.train)), "pixels": _fingerprint(self.train.pixels)}
        if self.words and self.train.captions:
            basis["captions"] = hashlib.sha256("\n".join(self.train.captions).encode()).hexdigest()[:16]
        if not self.classes or self.train.labels is None:
            return basis
        return basis | {"classes": _fingerprint(self.train.labels)}


def _fingerprint(tensor: Tensor) -> str:
    state = hashlib.sha256()
    for chunk in chunks_of(tensor):
        state.update(chunk.contiguous().numpy().reshape(-1).data)
    return state.hexdigest()[:16]


def introduction(
    files: int, held_out: int, classes: Sequence[str], notes: Iterable[str] = (), words: Sequence[str] = ()
) -> Iterator[str]:
    """What there is to learn from, in a line or two, and what else to say of the data."""
    yield f"{files} pictures to train on, {held_out} held out."
    if classes:
        yield f"{len(classes)} classes: {', '.join(classes)[:200]}."
    if words:
        yield f"Captions of {len(words)} words: {shorten(', '.join(words), 200, placeholder=' …')}."
    yield from map(_on_one_line, notes)


def read_pictures(
    request: TrainRequest,
    watch: Watch = iter,
    world: World = ALONE,
    say: Callable[[str], object] = lambda sentence: None,
) -> Pictures:
    """Read the data; `watch` may wrap the files to show progress, `say` is told of stored pictures of no use any more.

    Raises:
        PictureError: it cannot be read, or there is not enough memory.
        UnwritableError: there is not enough room on the disk.
    """
    found = find(request.data, request.classes, request.held_out)
    files, labels, captions = found.sources, found.labels, found.captions or {}
    if world.is_main:
        refuse_without_room(request, files)

    def read(split: str, watch: Watch) -> PictureSet:
        return read_split(request, split, files[split], labels[split], captions.get(split), world, watch, say)

    train = read("train", watch)
    held_out, skipped = None, train.skipped
    if files["val"]:
        try:
            held_out = read("val", iter)
            skipped = skipped + held_out.skipped
        except NoPictures as none:  # nothing can be measured, but all can be learned
            skipped = skipped + none.skipped
    about = found.classes, skipped, found.notes, found.unused, vocabulary(train.captions or ())
    return Pictures(train, held_out, len(train) // request.views, *about)


def skipped_file(out: Path) -> Path:
    """Where a run lists the files that it left out."""
    return out / "training" / SKIPPED


def introduced(pictures: Pictures) -> list[str]:
    held_out = len(pictures.held_out or [])
    return list(introduction(pictures.files, held_out, pictures.classes, pictures.notes, pictures.words))


def describe(request: TrainRequest, pictures: Pictures) -> None:
    """Write what was found into `training/data.txt`, and which files were left out, and why, a line each."""
    lines = introduced(pictures)
    if count := len(pictures.skipped):
        lines.append(f"{count} files cannot be used; training/{SKIPPED} says why.")
    found = "".join(f"{line}\n" for line in lines)
    path = request.out / "training" / DATA
    write_atomically(path, lambda partial: partial.write_text(found, encoding="utf-8"))
    path = skipped_file(request.out)
    if pictures.skipped:
        lines = [f"{name_in(request.data, source)}\t{_on_one_line(reason)}\n" for source, reason in pictures.skipped]
        write_atomically(path, lambda partial: partial.write_text("".join(lines), encoding="utf-8"))
    else:
        path.unlink(missing_ok=True)


def found_in_data(notes: Path) -> list[str]:
    """The lines that `describe` wrote into a `training/` folder, if any."""
    try:
        return (notes / DATA).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def name_in(data: Path, source: Source) -> str:
    """What a file is called in the data, fit to be printed."""
    if isinstance(source, Path) and source.is_relative_to(data):
        source = source.relative_to(data)
    return _on_one_line(str(source))


def _on_one_line(text: str) -> str:
    """Names of files may have line breaks in them, and bytes that are no text."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
