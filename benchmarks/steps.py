"""`python -m benchmarks.steps`: what the few steps of the default lose against DDPM's thousand.

Example:
    python -m benchmarks.steps --data faces/synthetic --pictures 266 --json steps.json

Compared by sliced Wasserstein distance (`ddpm_core.evaluation.distances`) are a set of pictures by ancestral sampling
through every state, and several as large by the default sampler and steps. With --data the loss is the mean distance of
the default's sets to training pictures over that of DDPM's, averaged over levels. Without, it is how far DDPM's set
lies from the default's over how far these lie apart: 1 for the same kind of pictures; gains count, too.

The error is the figure's spread when each of the default's sets is taken for DDPM's; within two errors of the limit
there is no verdict. By default --pictures are few, for DDPM's take minutes, and the error is large.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from benchmarks.digit_reader import reader
from benchmarks.pipeline import CHECKPOINT
from benchmarks.results import Result, report
from ddpm_core.cli import in_one_sentence, run
from ddpm_core.data.load import PictureSet, find_pictures, load_pictures
from ddpm_core.evaluation.classifier import classifier_accuracy
from ddpm_core.evaluation.distances import groups, sliced_wasserstein
from ddpm_core.evaluation.samples import sample, sample_classes
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest

PICTURES, SETS = 16, 6
DIGITS, OF_EACH = Path("checkpoints/digits"), 7
LOSS = 1.05
SURE = 2.0  # standard errors


def main(
    data: Annotated[Path | None, typer.Option(help="folder of the pictures the denoiser was trained on")] = None,
    checkpoint: Annotated[Path, typer.Option(help="checkpoint folder")] = CHECKPOINT,
    pictures: Annotated[int, typer.Option(min=1, help="pictures in a set")] = PICTURES,
    json_file: Annotated[Path | None, typer.Option("--json", help="also write the results to this file")] = None,
) -> None:
    """Print the loss, its error and the distances as a table."""
    with in_one_sentence():
        results = measure(checkpoint, pictures, data)
    report(results, json_file)


def measure(
    checkpoint: Path = CHECKPOINT, pictures: int = PICTURES, data: Path | None = None, sets: int = SETS
) -> list[Result]:
    """The loss with its limit, its error, and the distances by level, finest first.

    Raises:
        CheckpointError, PictureError: what is to be read cannot be.
    """
    model = LatentDiffusion.load(checkpoint)
    training = load_pictures(find_pictures(data)["train"], model.size) if data else None
    # As many seeds as both need, none used twice, so that no two sets share noise.
    default = groups(sample(model, pictures * sets), pictures)
    ddpm = sample(model, pictures, pictures * sets, thousand_steps(model))

    if training:
        distances = sliced_wasserstein(training, [*default, ddpm])
        loss, named = (distances[:-1].mean(0) / distances[-1]).mean().item(), "to training pictures"
    else:
        distances = torch.stack([nearness(each, [d for d in default if d is not each]) for each in [*default, ddpm]])
        loss, named = (distances[-1] / distances[:-1].mean(0)).mean().item(), "to the default's sets"
    error = standard_error(distances[:-1])
    return [
        judged("steps: default / DDPM" if training else "steps: DDPM from default / default apart", loss, error),
        Result("steps: standard error of it", error),
        *(
            Result(f"steps: {name}, swd {named}, level {level}", value)
            for name, values in (("default", distances[:-1].mean(0)), ("DDPM", distances[-1]))
            for level, value in enumerate(values.tolist())
        ),
    ]


def class_accuracy(checkpoint: Path = DIGITS, of_each: int = OF_EACH) -> list[Result]:
    """How many times more of DDPM's digits than of the default's `digit_reader` reads as asked, and both fractions.

    Raises:
        CheckpointError: the checkpoint cannot be read.
    """
    model = LatentDiffusion.load(checkpoint)
    requests = {"default": model.request(GenerateRequest), "DDPM": thousand_steps(model)}
    count, judge = of_each * len(model.classes), reader()
    accuracies = {
        name: classifier_accuracy(judge, sample_classes(model, count, request=requests[name])) for name in requests
    }
    return [
        Result.at_most(
            "digits: read as asked, DDPM / default", accuracies["DDPM"] / max(accuracies["default"], 1e-9), LOSS
        ),
        *(Result(f"digits: read as asked, {name}", accuracy) for name, accuracy in accuracies.items()),
        Result("digits: pictures made each way", count),
    ]


def thousand_steps(model: LatentDiffusion) -> GenerateRequest:
    """Ancestral sampling through every state of the model's diffuser."""
    return GenerateRequest(steps=model.diffuser.num_timesteps - 1, sampler="ddpm")


def nearness(pictures: PictureSet, others: list[PictureSet]) -> Tensor:
    """Mean distance (levels,) of a set to others."""
    return sliced_wasserstein(pictures, others).mean(0)


def standard_error(distances: Tensor) -> float:
    """Standard error of one set's distance over the mean of all, from the distances (sets, levels) of sets alike."""
    relative = (distances / distances.mean(0)).mean(1)
    return (relative.std() * (1 + 1 / len(distances)) ** 0.5).item()


def judged(name: str, loss: float, error: float) -> Result:
    """A loss with its limit; no verdict where the error leaves it open."""
    result = Result.at_most(name, loss, LOSS)
    if abs(loss - LOSS) <= SURE * error:
        result.ok = None
    return result


if __name__ == "__main__":
    run(main)
