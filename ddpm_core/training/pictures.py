"""The pictures that a run learns from, read once, and the list of files that could not be used."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.data.find import find
from ddpm_core.data.load import NoPictures, PictureSet, Skipped, load_pictures
from ddpm_core.images.files import Source
from ddpm_core.training.settings import TrainRequest


@dataclass
class Pictures:
    """The run's pictures, read once for both stages: no file is opened for them after that."""

    train: PictureSet
    held_out: PictureSet | None
    files: int  # pictures read for training, before views multiply them
    classes: tuple[str, ...] = ()
    skipped: list[Skipped] = field(default_factory=list)  # files that could not be used, of both parts


def read_pictures(request: TrainRequest, watch: Callable[[Iterable[Source]], Iterable[Source]] = iter) -> Pictures:
    """Read the data; `watch` may wrap the files to show progress. Raises `PictureError`."""
    found = find(request.data, request.classes)
    files, labels = found.sources, found.labels
    how = request.size, request.views, request.zoom, request.seed
    train = load_pictures(files["train"], *how, labels=labels["train"], watch=watch)
    held_out, skipped = None, train.skipped
    if files["val"]:
        try:
            held_out = load_pictures(files["val"], request.size, labels=labels["val"])
            skipped = skipped + held_out.skipped
        except NoPictures as none:  # nothing can be measured, but all can be learned
            skipped = skipped + none.skipped
    return Pictures(train, held_out, len(train) // request.views, found.classes, skipped)


def skipped_file(out: Path) -> Path:
    """Where a run lists the files that it left out."""
    return out / "training" / "skipped.txt"


def list_skipped(request: TrainRequest, pictures: Pictures) -> None:
    """Write which files were left out, and why, a line each; without any, remove the list of an earlier time."""
    path = skipped_file(request.out)
    if pictures.skipped:
        lines = [f"{name_in(request.data, source)}\t{_on_one_line(reason)}\n" for source, reason in pictures.skipped]
        checkpoint.write_atomically(path, lambda partial: partial.write_text("".join(lines), encoding="utf-8"))
    else:
        path.unlink(missing_ok=True)


def name_in(data: Path, source: Source) -> str:
    """What a file is called in the data, fit to be printed."""
    if isinstance(source, Path) and source.is_relative_to(data):
        source = source.relative_to(data)
    return _on_one_line(str(source))


def _on_one_line(text: str) -> str:
    """Names of files may have line breaks in them, and bytes that are no text."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
