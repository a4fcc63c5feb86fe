"""`python -m ddpm_core.evaluate`: measure a checkpoint on held-out pictures.

Example:
    python -m ddpm_core.evaluate --checkpoint checkpoints/faces-128 --data photos --json measures.json

Held out are the pictures `labels.csv` says, a folder `val` or `test`, or as many as the checkpoint's run held out.

FID, KID and Inception Score take the weights of FID's Inception-v3 (`--inception FILE`). Without it, a small classifier
is trained on DATA on the spot, and measures are called after it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ddpm_core.cli import CHECKPOINT, Checkpoint, in_one_sentence, output_file, output_folder, run, say, say_written
from ddpm_core.data.find import NONE, find
from ddpm_core.data.load import find_pictures
from ddpm_core.errors import UserError
from ddpm_core.evaluation import checkpoint as measuring
from ddpm_core.evaluation.denoising import measure_denoising
from ddpm_core.evaluation.features import inception, of_classes
from ddpm_core.evaluation.likelihood import measure_likelihood
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
    json_file: Annotated[Path | None, typer.Option("--json", help="also write the measures to this file")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps, or auto")] = "auto",
) -> None:
    """Print what the checkpoint measures on held-out pictures as a table.

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
        denoiser_data = measuring.data_of_denoiser(checkpoint, data)
        say(f"Autoencoder measured on {data}, samples and fillings on {denoiser_data}.")
        network = inception(inception_file, model.device) if inception_file else None
        labelled = measuring.with_classes_of(model, checkpoint, denoiser_data) if model.classes else None
        classifier = measuring.classifier_of(model, labelled) if labelled else None
        network = network or (of_classes(classifier) if classifier else None)
        measures = measuring.measure_codec(model, find_pictures(data, measuring.held_out_by(checkpoint, "vae")))
        found = find(denoiser_data, NONE, measuring.held_out_by(checkpoint, "denoiser"))
        measures |= measuring.measure_denoiser(model, found.sources, samples, fills, network)
        measures |= measure_likelihood(model, found.sources)
        measures |= measure_denoising(model, labelled or found)
        if labelled and classifier:
            measures |= measuring.measure_classes(model, labelled, classifier, samples)
        if json_file:
            json_file.write_text(json.dumps(measures, indent=2) + "\n", encoding="utf-8")
    for line in table(measures):
        typer.echo(line)
    if json_file:
        say_written([json_file])


def command() -> None:
    """The console script `ddpm-evaluate`."""
    run(main)


if __name__ == "__main__":
    command()
