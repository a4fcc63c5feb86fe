"""`python -m ddpm_core.train`: train a checkpoint on a folder of pictures.

Example:
    python -m ddpm_core.train --data photos --out checkpoints/mine --preset quick
"""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import Annotated, Any, Optional

import typer
from pydantic import ValidationError
from tqdm import tqdm

from ddpm_core.checkpoint import CheckpointError
from ddpm_core.options import complaint, fail, merge, run, takes
from ddpm_core.pictures import PictureError
from ddpm_core.presets import PRESETS
from ddpm_core.schema import TrainRequest
from ddpm_core.stages import Pictures, StageName, read_pictures, run_stage
from ddpm_core.training import TrainingError


@takes(TrainRequest)
def main(
    given: dict[str, Any],
    preset: Annotated[str, typer.Option(help=f"row of the preset table to start from: {', '.join(PRESETS)}")] = "quick",
    iterations: Annotated[Optional[int], typer.Option(help="optimiser steps of each stage")] = None,
    batch_size: Annotated[Optional[int], typer.Option(help="pictures per step in each stage")] = None,
) -> None:
    """Train autoencoder and denoiser, one after the other, on a folder of pictures.

    Writes a checkpoint that the app lists as soon as it is complete, and in its training/ folder the
    resolved settings, a log, sample grids and what --resume needs.
    """
    wanted = {"iterations": iterations, "batch_size": batch_size}
    both = {name: value for name, value in wanted.items() if value is not None}
    if preset not in PRESETS:
        fail(f"there is no preset {preset!r}; choose from: {', '.join(PRESETS)}.")
    try:
        request = TrainRequest.model_validate(merge(PRESETS[preset], {"vae": both, "denoiser": both}, given))
        pictures = read_pictures(request, lambda files: tqdm(files, desc="reading pictures", unit="", leave=False))
        if pictures.train.unreadable:
            typer.echo(f"Skipped {len(pictures.train.unreadable)} files that are no readable pictures.")
        typer.echo(f"{pictures.files} pictures to train on, {len(pictures.held_out or [])} held out.")
        if pictures.classes:
            typer.echo(f"{len(pictures.classes)} classes: {', '.join(pictures.classes)[:200]}.")
        for stage in request.stages:
            show_stage(stage, request, pictures)
    except ValidationError as error:
        fail(complaint(error))
    except (CheckpointError, PictureError, TrainingError, OSError, ValueError) as error:
        fail(str(error))
    typer.echo(f"Done: {request.out}")


def show_stage(stage: StageName, request: TrainRequest, pictures: Pictures) -> None:
    """Run one stage behind a progress bar; Ctrl+C or a polite kill finishes the step, saves and says how to go on."""
    settings = getattr(request, stage)
    stop = threading.Event()
    for polite in (signal.SIGINT, signal.SIGTERM):
        signal.signal(polite, lambda *_: stop.set())
    smooth: float | None = None
    with (
        contextlib.closing(run_stage(stage, request, pictures)) as updates,
        tqdm(total=settings.iterations, desc=stage, unit="it", dynamic_ncols=True) as bar,
    ):
        for update in updates:
            loss = update.step.losses["loss"]
            smooth = loss if smooth is None else 0.98 * smooth + 0.02 * loss
            bar.update(update.step.step - bar.n)
            bar.set_postfix(loss=f"{smooth:.4f}", **({"skipped": update.step.skipped} if update.step.skipped else {}))
            for measure, value in update.held_out.items():
                bar.write(f"{stage} {update.step.step}: {measure} {value:.4f}")
            if stop.is_set():
                break
    if stop.is_set():
        typer.echo(f"Stopped and saved in {request.out}. Go on with the same command and --resume.")
        raise typer.Exit(0)


if __name__ == "__main__":
    run(main)
