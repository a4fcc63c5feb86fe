"""`python -m ddpm_core.train`: train a checkpoint on a folder of pictures.

Example:
    python -m ddpm_core.train --data photos --out checkpoints/mine --preset quick
"""

from __future__ import annotations

import signal
from enum import StrEnum
from typing import Annotated, Any, Optional

import typer
from pydantic import ValidationError
from tqdm import tqdm

from ddpm_core.checkpoint import CheckpointError
from ddpm_core.options import complaint, fail, merge, run, takes
from ddpm_core.pictures import PictureError
from ddpm_core.presets import PRESETS
from ddpm_core.schema import TrainRequest
from ddpm_core.stages import read_pictures, run_stage
from ddpm_core.training import TrainingError

Preset = StrEnum("Preset", {name: name for name in PRESETS})


@takes(TrainRequest)
def main(
    given: dict[str, Any],
    preset: Annotated[Preset, typer.Option(help="row of the preset table to start from")] = Preset.quick,
    iterations: Annotated[Optional[int], typer.Option(help="optimiser steps of each stage")] = None,
    batch_size: Annotated[Optional[int], typer.Option(help="pictures per step in each stage")] = None,
) -> None:
    """Train autoencoder and denoiser, one after the other, on a folder of pictures.

    Writes a checkpoint that the app lists as soon as it is complete, and in its training/ folder the
    resolved settings, a log, sample grids and what --resume needs.
    """
    both = {name: value for name, value in {"iterations": iterations, "batch_size": batch_size}.items() if value is not None}
    try:
        request = TrainRequest.model_validate(merge(PRESETS[preset], {"vae": both, "denoiser": both}, given))
        pictures = read_pictures(request, lambda files: tqdm(files, desc="reading pictures", unit="", leave=False))
        if pictures.train.unreadable:
            typer.echo(f"Skipped {len(pictures.train.unreadable)} files that are no readable pictures.")
        typer.echo(f"{pictures.files} pictures to train on, {len(pictures.held_out or [])} held out.")
        for stage in ("vae", "denoiser") if request.stage == "all" else (request.stage,):
            show_stage(stage, request, pictures)
    except ValidationError as error:
        fail(complaint(error))
    except (CheckpointError, PictureError, TrainingError, OSError, ValueError) as error:
        fail(str(error))
    typer.echo(f"Done: {request.out}")


def show_stage(stage: str, request: TrainRequest, pictures) -> None:
    """Run one stage behind a progress bar; an interrupt saves what the last completed save holds and says how to go on."""
    settings = getattr(request, stage)
    updates = run_stage(stage, request, pictures)
    smooth: float | None = None
    with tqdm(total=settings.iterations, desc=stage, unit="it", dynamic_ncols=True) as bar:
        try:
            for update in updates:
                loss = update.step.losses["loss"]
                smooth = loss if smooth is None else 0.98 * smooth + 0.02 * loss
                bar.update(update.step.step - bar.n)
                bar.set_postfix(loss=f"{smooth:.4f}", **({"skipped": update.step.skipped} if update.step.skipped else {}))
                if update.held_out:
                    bar.write(f"{stage} {update.step.step}: " + ", ".join(f"{k} {v:.4f}" for k, v in update.held_out.items()))
        except KeyboardInterrupt:
            updates.close()
            bar.close()
            typer.echo(f"Stopped; what was reached is saved in {request.out}. Go on with the same command and --resume.")
            raise typer.Exit(0) from None


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill ends a run like Ctrl+C
    run(main)
