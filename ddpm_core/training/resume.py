"""A run that goes on: whether it can with its new settings, and which of them differ."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.cli import plain
from ddpm_core.data.find import HELD_OUT_FRACTION
from ddpm_core.diffusion.schedules import SCHEDULE_ALIASES
from ddpm_core.training.settings import STAGES, StageName, TrainRequest

# What does not change what is learned: where and how often things are written, on what they are computed.
ASIDE = {"out", "stage", "resume", "init", "device", "threads", "save_every", "sample_every", "about", "framing"}

FINGERPRINTS = {  # of a basis, and what to say if one is another
    "pixels": "The pictures are as many as when the run was saved, but other ones, or cut out otherwise.",
    "classes": "The pictures are as many as when the run was saved, but the classes of some are other ones.",
    "captions": "The pictures are as many as when the run was saved, but the captions of some are other ones.",
}


def changes(stage: StageName, request: TrainRequest) -> list[str]:
    """A sentence for every setting that the stage's run in `request.out` had otherwise.

    Raises:
        CheckpointError: one of them cannot change.
    """
    path = request.out / "training" / f"{stage}.json"
    try:
        before = _settings(stage, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, AttributeError):
        return []  # nobody knows what they were
    now = _settings(stage, request.model_dump(mode="json"))
    others = {
        name: f"--{name.replace('_', '-')} was {plain(before[name])} and"
        for name in now
        if name in before and not _same(name, before[name], now[name])
    }
    for name, sentence in others.items():
        # Weights would not fit, or what was learned would count as held out.
        settings = getattr(request, stage)
        if name in {
            "held_out",
            "denoiser_enlarges",
            *(f"{stage}_{fixed}" for fixed in (*settings.SHAPE, *settings.TEXT)),
        }:
            raise CheckpointError(
                f"The run in {request.out} has other settings: {sentence} cannot become {plain(now[name])}; "
                "resume it with what it had, or choose another --out."
            )
    return [f"{sentence} is {plain(now[name])} from here on." for name, sentence in others.items()]


def other_basis(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The same for what the stage learns from (`Stage.basis`); fingerprints matter where the number is the same."""
    others = [name for name in now if name in before and before[name] != now[name]]
    if "pictures" in others:
        others = [name for name in others if name not in FINGERPRINTS]
    return [
        FINGERPRINTS.get(name)
        or f"{name.capitalize()}: {before[name]} when the run was saved, {now[name]} from here on."
        for name in others
    ]


def refuse_other_classes(folder: Path, classes: tuple[str, ...]) -> None:
    """Raises `CheckpointError` if the denoiser in a folder learned other classes, or their order changed."""
    config = checkpoint.read_config(folder)
    known = [unicodedata.normalize("NFC", name) for name in config.classes]  # earlier versions took a disk's spelling
    if config.denoiser and known != list(classes):
        before, now = (", ".join(names)[:100] or "none" for names in (config.classes, classes))
        raise CheckpointError(
            f"The run in {folder} has other classes ({before}) than the pictures now ({now}); resume it with the "
            "pictures it had, or start another from it with --init and another --out."
        )


def refuse_other_words(folder: Path, words: tuple[str, ...]) -> None:
    """Raises `CheckpointError` if the denoiser in a folder learned other words."""
    config = checkpoint.read_config(folder)
    if config.denoiser and config.words != list(words):
        odd = sorted(set(config.words) ^ set(words))
        how = "add --denoiser-text-width 0, or " if not config.words else ""
        raise CheckpointError(
            f"The run in {folder} knows {len(config.words)} words and the captions now have {len(words)} "
            f"({', '.join(odd)[:100]}); {how}resume it with the pictures it had, or start another from it with --init "
            "and another --out."
        )


def _settings(stage: StageName, request: dict[str, Any]) -> dict[str, Any]:
    """The settings that a stage's result depends on, by the name of their flag."""
    common = {name: value for name, value in request.items() if name not in ASIDE | set(STAGES)}
    common.setdefault("held_out", HELD_OUT_FRACTION)  # before it was a setting
    own = {"enlarges": 1} if stage == "denoiser" else {}  # likewise
    return common | {f"{stage}_{name}": value for name, value in (own | request[stage]).items()}


def _same(name: str, before: Any, now: Any) -> bool:
    if name.endswith("schedule"):
        before = SCHEDULE_ALIASES.get(before, before)
    return before == now or (name == "data" and Path(before).resolve() == Path(now).resolve())
