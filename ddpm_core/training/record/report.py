"""What a stage's run leaves when it ends: plots and model card."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.checkpoints.native import CONFIG
from ddpm_core.training.record.card import write_card
from ddpm_core.training.record.journal import rows_of
from ddpm_core.training.record.plots import draw
from ddpm_core.training.settings import StageName


@contextmanager
def reported(out: Path, stage: StageName) -> Iterator[None]:
    """Around a stage's run: however it ends, its plots and card say how far it came."""
    try:
        yield
    except BaseException:
        with suppress(OSError, CheckpointError):  # what ended it is what matters
            report(out, stage)
        raise
    report(out, stage)


def report(out: Path, stage: StageName) -> None:
    """Draw the plots and write the card, unless the run ended before its first save."""
    if (out / CONFIG).exists():
        notes = out / "training"
        draw(notes, stage, rows_of(notes / f"{stage}.jsonl"))
        write_card(out)
