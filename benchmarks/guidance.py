"""`python -m benchmarks.guidance`: classifier-free guidance, autoguidance and guidance by a classifier side by side.

Example:
    python -m benchmarks.guidance --data mnist.npz --weaker checkpoints/weak-digits --json guidance.json

All rows have the same seeds, sampler, steps and digits. Autoguidance steers away from --weaker, a narrower checkpoint
of the same classes, trained for less. `benchmarks.digit_reader`, which has no part in guiding, reads the pictures; the
first row is held-out ones. With --json rows are written as they come, and the same command goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Annotated, NamedTuple

import torch
import typer

from benchmarks.digit_reader import reader
from benchmarks.judging import REAL, Judge, table
from benchmarks.rows import Row, read_rows, write_rows
from ddpm_core.cli import in_one_sentence, run
from ddpm_core.data.load import PictureSet
from ddpm_core.diffusion.guidance import autoguidance
from ddpm_core.errors import UserError, lookup
from ddpm_core.evaluation.checkpoint import with_classes_of
from ddpm_core.evaluation.samples import sample
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest


class Way(NamedTuple):
    """Scales of the request, and that of autoguidance; 1 for none."""

    guidance: float = 1.0
    classifier_guidance: float = 0.0
    auto: float = 1.0


WAYS = {
    "the class told, no guidance": Way(),
    "classifier-free 2": Way(guidance=2),
    "classifier-free 4": Way(guidance=4),
    "classifier-free 8": Way(guidance=8),
    "autoguidance 2": Way(auto=2),
    "autoguidance 4": Way(auto=4),
    "classifier 1": Way(classifier_guidance=1),
    "classifier 4": Way(classifier_guidance=4),
    "classifier 10": Way(classifier_guidance=10),
    "class not told": Way(guidance=0),
    "class not told, classifier 4": Way(guidance=0, classifier_guidance=4),
    "class not told, classifier 10": Way(guidance=0, classifier_guidance=10),
}


def main(
    data: Annotated[Path, typer.Option(help="the digits that the checkpoint was trained on")],
    checkpoint: Annotated[Path, typer.Option(help="checkpoint of digits, with a classifier to guide by")] = Path(
        "checkpoints/digits"
    ),
    weaker: Annotated[Path | None, typer.Option(help="checkpoint to steer away from, of the same digits")] = None,
    pictures: Annotated[int, typer.Option(min=2, help="pictures of each digit")] = 8,
    steps: Annotated[int, typer.Option(min=1, max=999, help="reverse steps")] = 20,
    ways: Annotated[str, typer.Option(help=f"rows to make, joined by semicolons: {'; '.join(WAYS)}")] = ";".join(WAYS),
    json_file: Annotated[
        Path | None, typer.Option("--json", help="write rows to this file as they come, and keep those it has")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps, or auto")] = "auto",
) -> None:
    """Print what each way of guiding measures as a table."""
    with in_one_sentence():
        model = LatentDiffusion.load(checkpoint, device)
        poor = LatentDiffusion.load(weaker, device) if weaker else None
        classifier = reader().to(model.device)
        if classifier.classes != len(model.classes) or (poor and poor.classes != model.classes):
            raise UserError("this compares guidance to the ten digits; name checkpoints that have those classes.")
        rows = read_rows(json_file, itemgetter("name"))
        asked = [name.strip() for name in ways.split(";")]
        chosen = {name: lookup(WAYS, "way of guiding", name) for name in asked}
        names = [REAL, *(name for name, way in chosen.items() if poor or way.auto == 1)]
        judge = None
        for name in names:
            if name in rows:
                continue
            judge = judge or Judge(with_classes_of(model, checkpoint, data), model.size, classifier)
            if name == REAL:
                rows[name] = {"name": name} | judge.measure(judge.real(pictures))
            else:
                rows[name] = measured(name, WAYS[name], model, poor, pictures, steps, judge)
            typer.echo(table([rows[name]], "guidance").splitlines()[-1], err=True)
            if json_file:
                write_rows(json_file, rows.values())
    typer.echo(table([rows[name] for name in names], "guidance"))


def measured(
    name: str, way: Way, model: LatentDiffusion, poor: LatentDiffusion | None, each: int, steps: int, judge: Judge
) -> Row:
    """The row of a way of guiding: `each` pictures of every class, and what they measure."""
    start, pixels = time.perf_counter(), []
    for number, label in enumerate(model.classes):
        request = GenerateRequest(
            steps=steps, label=label, guidance=way.guidance, classifier_guidance=way.classifier_guidance
        )
        guided = model if way.auto == 1 or poor is None else model.with_wrapper(steered(poor, label, way.auto))
        pixels.append(sample(guided, each, number * each, request).pixels)
    seconds = (time.perf_counter() - start) / (each * len(model.classes))
    labels = torch.arange(len(model.classes)).repeat_interleave(each)
    return {"name": name} | judge.measure(PictureSet(torch.cat(pixels), [], labels)) | {"seconds": seconds}


def steered(poor: LatentDiffusion, label: str, scale: float) -> Callable:
    """The wrapper that steers away from what a weaker model predicts for the same class."""
    weaker = poor.class_predictor(label, 1)
    return lambda predict: autoguidance(predict, weaker, scale)


if __name__ == "__main__":
    run(main)
