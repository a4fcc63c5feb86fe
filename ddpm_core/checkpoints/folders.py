"""Folders that stand for a checkpoint, in our format or that of diffusers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from ddpm_core.checkpoints import diffusers_format, native
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.checkpoints.native import Framing, Parts


def load_parts(folder: Path, device: str | torch.device = "cpu") -> Parts:
    """All parts of a checkpoint. Raises `CheckpointError` if one is missing or damaged."""
    return (diffusers_format if diffusers_format.is_pipeline(folder) else native).load_parts(folder, device)


def files(folder: Path) -> list[Path]:
    """The files without which a checkpoint folder is not complete, whoever wrote it."""
    if diffusers_format.is_pipeline(folder):
        return diffusers_format.files(folder)
    return [Path(folder) / name for name in native.FILES]


def weights(folder: Path) -> list[Path]:
    """The files in which a checkpoint's networks are, whoever wrote it."""
    if diffusers_format.is_pipeline(folder):
        return diffusers_format.weights(folder)
    return [path for name in native.WEIGHTS if (path := Path(folder) / name).is_file()]


def about(folder: Path) -> str:
    """A line on what it was trained on; empty if it does not say. Raises `CheckpointError` without a config."""
    return "" if diffusers_format.is_pipeline(folder) else native.read_config(folder).about


def training_of(folder: Path) -> dict[str, Any]:
    """The settings of the runs that made a checkpoint, by stage; empty if it does not say.

    Raises `CheckpointError` without a config.
    """
    return {} if diffusers_format.is_pipeline(folder) else native.read_config(folder).training


def enlarges(folder: Path) -> bool:
    """Whether a checkpoint makes pictures of smaller ones, and none of noise; False if it cannot be read."""
    with suppress(CheckpointError):
        return not diffusers_format.is_pipeline(folder) and native.read_config(folder).conditioning is not None
    return False


def framing(folder: Path) -> Framing:
    """What a checkpoint's pictures show; "any" if it does not say or cannot be read."""
    with suppress(CheckpointError):
        return "any" if diffusers_format.is_pipeline(folder) else native.read_config(folder).framing
    return "any"


def enlarging(checkpoints: Mapping[str, Path], of: Path | None = None) -> list[str]:
    """Names of those of some complete checkpoints, folders by name, that enlarge: such as the checkpoint `of` makes."""
    found = [name for name, folder in checkpoints.items() if enlarges(folder)]
    if of is None or not found:
        return found
    known = {"any", framing(of)}
    return [name for name in found if framing(checkpoints[name]) in known]


def needed_to_enlarge(
    checkpoints: Mapping[str, Path], of: Path | None = None, where: str = "here", otherwise: str = ""
) -> list[str]:
    """`enlarging`, where there has to be one.

    Raises:
        CheckpointError: there is none `where` one looked; `otherwise` is what to do but train one.
    """
    if found := enlarging(checkpoints, of):
        return found
    raise CheckpointError(
        f"No checkpoint {where} enlarges pictures; {otherwise}train one with python -m ddpm_core.train "
        "--denoiser-enlarges 2."
    )


def enlarging_beside(folder: Path) -> Path | None:
    """The first checkpoint beside another that enlarges such pictures as that one makes; None if there is none."""
    beside = {name: folder.parent / name for name in list_checkpoints(folder.parent)}
    return next((beside[name] for name in enlarging(beside, folder)), None)


def list_checkpoints(root: Path) -> list[str]:
    """Names of the complete checkpoints in a folder, sorted."""
    if not Path(root).is_dir():
        return []
    return sorted(folder.name for folder in Path(root).iterdir() if all(file.is_file() for file in files(folder)))
