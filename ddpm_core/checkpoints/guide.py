"""Putting a guide beside a checkpoint's denoiser (`guidance.autoguidance`)."""

from __future__ import annotations

import filecmp
import shutil
from pathlib import Path

from ddpm_core.checkpoints.atomic import CheckpointError, write_atomically
from ddpm_core.checkpoints.native import (
    CODEC_WEIGHTS,
    DENOISER_WEIGHTS,
    GUIDE_WEIGHTS,
    CheckpointConfig,
    load_parts,
    read_config,
    write_config,
)


def put_guide(
    folder: Path,
    weaker: Path,
    scale: float,
    interval: tuple[int, int] | None = None,
    low_scale: float | None = None,
) -> None:
    """Make the denoiser of `weaker` the guide of the one in `folder`, whose own weights stay as they are
    (`autoguidance`).

    Raises:
        CheckpointError: the two do not fit each other, or one is broken.
    """
    guided, guide = load_parts(folder), load_parts(weaker)
    config, of_guide = read_config(folder), read_config(weaker)
    for what, same in (
        ("autoencoders", filecmp.cmp(folder / CODEC_WEIGHTS, weaker / CODEC_WEIGHTS, shallow=False)),
        ("noise schedules", guided.diffuser.config() == guide.diffuser.config()),
        ("kinds of network", config.backbone == of_guide.backbone),
    ):
        if not same:
            raise CheckpointError(f"{weaker} cannot guide {folder}: their {what} differ.")
    if guide.classes or guide.words:
        raise CheckpointError(f"{weaker} cannot guide {folder}: it knows classes or words; a guide knows none.")
    steering = {"guidance": scale, "guidance_interval": interval, "guidance_low": low_scale}
    changes = {"guide": of_guide.denoiser} | steering
    checked = CheckpointConfig.model_validate(dict(config) | changes)
    write_atomically(folder / GUIDE_WEIGHTS, lambda partial: shutil.copyfile(weaker / DENOISER_WEIGHTS, partial))
    write_config(folder, checked)  # last: killed in between, it is what it was
