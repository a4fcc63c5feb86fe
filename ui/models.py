"""The checkpoints on the shelf: which there are, and loading them once."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from ddpm_core.checkpoints.atomic import CheckpointError, numbers_in
from ddpm_core.checkpoints.folders import (
    about,
    enlarges,
    enlarging,
    files,
    list_checkpoints,
    needed_to_enlarge,
    weights,
)
from ddpm_core.checkpoints.hub import Repository, without_front_matter
from ddpm_core.checkpoints.native import CARD, read_config
from ddpm_core.cli import CHECKPOINT
from ddpm_core.diffusion.concatenation import windows
from ddpm_core.images.crop import Frame
from ddpm_core.images.enlargement import Enlargement
from ddpm_core.machine import pick_device
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import InpaintRequest


@functools.lru_cache(maxsize=2)
def _load(folder: Path, name: str, changed: tuple[int, ...], device: str) -> LatentDiffusion:
    # `changed` is part of the key only: retraining into the same folder makes a new entry.
    model = LatentDiffusion.load(folder, device)
    model.name = name  # the cache of the Hub calls folders by their commits
    return model


@contextmanager
def _called(name: str, folder: Path) -> Iterator[None]:
    """Failures inside speak of a checkpoint by its name: where it lies on the disk is not for visitors."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(str(error).replace(str(folder), name)) from None


@dataclass(frozen=True)
class Shelf:
    """All complete checkpoints in one folder, and those fetched from the Hub.

    Attributes:
        first: chosen when the page opens.
        fetched: folders of the Hub's cache, by the name that was asked for.
    """

    root: Path
    first: str
    device: str = "auto"
    fetched: Mapping[str, Path] = field(default_factory=dict)

    @classmethod
    def around(cls, checkpoint: Path, device: str = "auto") -> Shelf:
        """The shelf on which `checkpoint` stands; beside one of the Hub stand those in `checkpoints`. It is loaded, so
        faults show now.

        Raises:
            CheckpointError: it is missing or broken.
            NoSuchDevice: there is no such device.
        """
        pick_device(device)
        if repository := Repository.of(checkpoint):
            shelf = cls(CHECKPOINT.parent.resolve(), str(repository), device, {str(repository): repository.fetch()})
            shelf.load(shelf.first)
            return shelf
        shelf = cls(checkpoint.resolve().parent, checkpoint.resolve().name, device)
        if not checkpoint.is_dir():
            others = ", ".join(shelf.names())
            hint = f"beside it there are: {others}." if others else "train one with python -m ddpm_core.train."
            raise CheckpointError(f"{checkpoint} is not there; {hint}")
        shelf.load(shelf.first)
        return shelf

    def names(self) -> list[str]:
        """Names of the complete checkpoints that make pictures of noise, as they are on disk now."""
        return [name for name in self._all() if not enlarges(self._folder(name))]

    def enlarging(self, of: str | None = None) -> list[str]:
        """Names of those that make pictures of smaller ones, of any kind or of that which the checkpoint `of` makes."""
        return enlarging(self._folders(), self._made_by(of))

    def load_enlarging(self, name: str | None = None, of: str | None = None) -> LatentDiffusion:
        """The model of that name that enlarges pictures, or the first there is for such as the checkpoint `of` makes.

        Raises:
            CheckpointError: there is none, none of that name, it does not enlarge, or is broken.
        """
        names = needed_to_enlarge(self._folders(), self._made_by(of))
        if name and name not in names:
            raise CheckpointError(f"{name[:60]!r} does not enlarge pictures; choose from: {', '.join(names)}.")
        return self._loaded(name or names[0])

    def enlarger(self, request: InpaintRequest, of: str, frame: Frame) -> LatentDiffusion | None:
        """What makes fills of the checkpoint `of` larger, if the request wants that and they are to be.

        Raises:
            CheckpointError: it is broken.
        """
        if not request.enlarge or frame.fits or not self.enlarging(of):
            return None
        return self.load_enlarging(of=of)

    def windows(self, picture: str, name: str | None = None, of: str | None = None) -> int:
        """By how many windows `load_enlarging`'s model enlarges a picture, from the heads of its file and the model's.

        Raises:
            CheckpointError: the checkpoint cannot be used.
            UserError: the picture is too large.
            OSError: it is none.
        """
        config = read_config(self._folder(name or self.enlarging(of)[0]))
        assert config.conditioning is not None
        side = config.size // config.conditioning.factor
        with Image.open(picture) as opened:
            width, height = opened.size
        Enlargement.refuse_too_large(width, height, side)
        return windows(max(width, side), max(height, side), side)

    def _made_by(self, of: str | None) -> Path | None:
        return None if of is None else self._folder(of)

    def _folders(self) -> dict[str, Path]:
        return {name: self._folder(name) for name in self._all()}

    def _all(self) -> list[str]:
        return sorted({*list_checkpoints(self.root), *self.fetched})

    def load(self, name: str | None) -> LatentDiffusion:
        """The model of that name; a second call is free until its files change.

        Raises:
            CheckpointError: there is none of that name, or it is broken.
        """
        name = name or self.first
        if name not in self._all():
            # Also keeps names such as "../x" from leaving the shelf.
            if name == self.first:
                with _called(name, self.root / name):
                    LatentDiffusion.load(self.root / name, self.device)  # says which file is missing
            raise CheckpointError(f"There is no checkpoint {name!r}; choose from: {', '.join(self.names())}.")
        model = self._loaded(name)
        if model.conditioning is not None:
            others = f"choose from: {', '.join(self.names())}" if self.names() else "train one that does"
            raise CheckpointError(f"{name} enlarges pictures, and makes none from noise; {others}.")
        return model

    def _loaded(self, name: str) -> LatentDiffusion:
        folder = self._folder(name)
        changed = tuple(file.stat().st_mtime_ns for file in files(folder))
        with _called(name, folder):
            return _load(folder, name, changed, self.device)

    def card(self, name: str) -> str:
        """Text of the model card, empty if there is none."""
        path = self._folder(name) / CARD
        known = name in self.names() and path.is_file()
        return without_front_matter(path.read_text(encoding="utf-8")) if known else ""

    def at_a_glance(self, name: str) -> tuple[int, str]:
        """How many numbers a checkpoint has learned, and its line on training data, without loading it.

        Raises:
            CheckpointError: there is none of that name, or it cannot be read.
        """
        if name not in self._all():
            raise CheckpointError(f"There is no checkpoint {name!r}; choose from: {', '.join(self.names())}.")
        folder = self._folder(name)
        with _called(name, folder):
            return sum(map(numbers_in, weights(folder))), about(folder)

    def _folder(self, name: str) -> Path:
        return self.fetched.get(name) or self.root / name


def knows_faces(model: LatentDiffusion) -> bool:
    """Whether its pictures are faces, so that the page offers what is made for them."""
    return model.framing == "face"
