"""`python -m ddpm_core.evaluate`: measure a checkpoint on held-out pictures.

Example:
    python -m ddpm_core.evaluate --checkpoint checkpoints/faces-128 --data photos --json measures.json

Held out are the pictures `labels.csv` says, a folder `val` or `test`, or as many as the checkpoint's run held out.

FID, KID and Inception Score take the weights of FID's Inception-v3 (`--inception FILE`). Without it, a small classifier
is trained on DATA on the spot, and measures are called after it.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ddpm_core.checkpoints.atomic import write_atomically
from ddpm_core.cli import CHECKPOINT, Checkpoint, in_one_sentence, output_file, output_folder, run, say, say_written
from ddpm_core.errors import UserError
from ddpm_core.evaluation import checkpoint as measuring
from ddpm_core.evaluation.measures import table
from ddpm_core.pipeline import LatentDiffusion


def main(
    data: Annotated[
        Path,
        typer.Option(
            help="folder of pictures; its held-out share is measured. Samples and fillings are measured against the "
            "subfolder the denoiser was trained on, if there is one of that name, and else against all of it"
        ),
    ],
    checkpoint: Checkpoint = CHECKPOINT,
    samples: Annotated[int, typer.Option(min=1, help="pictures to make and compare with the training pictures")] = 1000,
    fills: Annotated[int, typer.Option(min=1, help="held-out pictures to inpaint, at most")] = 64,
    inception_file: Annotated[
        Path | None,
        typer.Option(
            "--inception",
            help="weights of FID's Inception-v3, pt_inception-2015-12-05-6726825d.pth or its tensors as .safetensors: "
            "for FID, KID and Inception Score. Without it, a small classifier trained on the spot compares pictures",
        ),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="also write the measures to this file, each as it is known")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps, or auto")] = "auto",
) -> None:
    """Print what the checkpoint measures on held-out pictures as a table; standard error says how far it is.

    Some numbers stand beside an aim and whether it is met. The aims are those of the shipped faces-128, and of digits
    for class accuracy, where the classifier itself is as good; another checkpoint may miss them and be fine.
    """
    with in_one_sentence():
        if json_file:
            output_file(json_file, ".json")
        model = LatentDiffusion.load(checkpoint, device)
        checkpoint = model.folder or checkpoint  # of one on the Hub, where it was fetched to
        if json_file:  # before the work, which takes minutes
            output_folder(json_file.parent)
        if not model.unconditional:
            raise UserError(
                f"{model.name} always wants a class and cannot be measured: most of what is measured is told none."
            )
        said = measuring.data_of_denoiser(checkpoint, data)
        say(f"Autoencoder measured on {data}, samples and fillings on {said}.")
        steps = measuring.steps_of(model, checkpoint, data, samples, fills, inception_file)
        measures: measuring.Measures = {}
        for number, (name, measure) in enumerate(steps.items(), 1):
            typer.echo(f"{number} of {len(steps)}: {name}", err=True)
            found = measure()
            measures |= found
            say(*table(found))
            if json_file:  # at once, so that a stop loses nothing
                write_atomically(json_file, partial(_write, measures))
    if json_file:
        say_written([json_file])


def _write(measures: measuring.Measures, path: Path) -> None:
    path.write_text(json.dumps(measures, indent=2) + "\n", encoding="utf-8")


def command() -> None:
    """The console script `ddpm-evaluate`."""
    run(main)


if __name__ == "__main__":
    command()
