"""The checkpoints on the shelf: which there are, and loading them once."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.checkpoints.folders import files, list_checkpoints
from ddpm_core.checkpoints.native import CARD
from ddpm_core.machine import pick_device
from ddpm_core.pipeline import LatentDiffusion


@functools.lru_cache(maxsize=2)
def _load(folder: Path, changed: tuple[int, ...], device: str) -> LatentDiffusion:
    # `changed` is part of the key only: retraining into the same folder makes a new entry.
    return LatentDiffusion.load(folder, device)


@dataclass(frozen=True)
class Shelf:
    """All complete checkpoints in one folder.

    Attributes:
        root: the folder that holds them.
        first: name of the one chosen when the page opens.
        device: where models run.
    """

    root: Path
    first: str
    device: str = "auto"

    @classmethod
    def around(cls, checkpoint: Path, device: str = "auto") -> Shelf:
        """The shelf on which `checkpoint` (a folder) stands. The checkpoint is loaded, so faults show now.

        Raises:
            CheckpointError: it is missing or broken.
            NoSuchDevice: there is no such device.
        """
        pick_device(device)
        shelf = cls(checkpoint.resolve().parent, checkpoint.resolve().name, device)
        if not checkpoint.is_dir():
            others = ", ".join(shelf.names())
            hint = f"beside it there are: {others}." if others else "train one with python -m ddpm_core.train."
            raise CheckpointError(f"{checkpoint} is not there; {hint}")
        shelf.load(shelf.first)
        return shelf

    def names(self) -> list[str]:
        """Names of the complete checkpoints, as they are on disk now."""
        return list_checkpoints(self.root)

    def load(self, name: str | None) -> LatentDiffusion:
        """The model of that name; a second call is free until its files change.

        Raises:
            CheckpointError: there is none of that name, or it is broken.
        """
        name = name or self.first
        if name not in self.names():
            # Also keeps names such as "../x" from leaving the shelf.
            if name == self.first:
                LatentDiffusion.load(self.root / name, self.device)  # says which file is missing
            raise CheckpointError(f"There is no checkpoint {name!r}; choose from: {', '.join(self.names())}.")
        folder = self.root / name
        changed = tuple(file.stat().st_mtime_ns for file in files(folder))
        return _load(folder, changed, self.device)

    def card(self, name: str) -> str:
        """Text of the model card, empty if there is none."""
        path = self.root / name / CARD
        return path.read_text(encoding="utf-8") if name in self.names() and path.is_file() else ""


def parameter_count(model: LatentDiffusion) -> int:
    """Parameters of autoencoder and denoiser together."""
    return sum(p.numel() for part in (model.codec, model.denoiser, model.guide) if part for p in part.parameters())


def knows_faces(model: LatentDiffusion) -> bool:
    """Whether its pictures are faces, so that the page may speak of them and offer what is made for them."""
    return model.framing == "face"
