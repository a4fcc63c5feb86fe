"""`python -m benchmarks.samplers`: how near and how fast every sampler gets in how many steps.

Example:
    python -m benchmarks.samplers --checkpoint checkpoints/faces-128 --data faces/synthetic --json faces.json
    python -m benchmarks.samplers --checkpoint checkpoints/digits --data mnist.npz --samplers ddim --guidance 1,2,4

All start from the same seeds. Without classes, pictures are judged by their sliced Wasserstein distance to training
pictures, the mean over levels. With classes, a small classifier trained here judges as many of each: how many it reads
as asked, and the Fréchet distance in its features. Distances are over those of as many held-out pictures.

Seconds are per picture, decoding included, in batches of 8. Heun and langevin call twice in a step. More than 100 steps
are for ddim and ddpm only. With --json rows are written as they come, and the same command goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import Annotated, NamedTuple

import torch
import typer

from benchmarks.rows import Row, cell, read_rows, table, write_rows
from ddpm_core.cli import in_one_sentence, run
from ddpm_core.data.load import PictureSet, find_pictures, load_pictures
from ddpm_core.diffusion.samplers import SAMPLERS
from ddpm_core.errors import UserError
from ddpm_core.evaluation.checkpoint import classifier_of, with_classes_of
from ddpm_core.evaluation.classifier import classifier_accuracy
from ddpm_core.evaluation.distances import groups, sliced_wasserstein
from ddpm_core.evaluation.feature_distances import frechet_distance
from ddpm_core.evaluation.features import extract_features, of_classes
from ddpm_core.evaluation.samples import BATCH, sample, sample_classes
from ddpm_core.images.files import PictureError, Source
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest

STEPS = (10, 20, 50, 100, 999)
GUIDANCE = GenerateRequest.model_fields["guidance"].default
LONG, LONG_SAMPLERS = 100, ("ddim", "ddpm")  # samplers that are made for few steps only cost more beyond that
PICTURES = 64
# Training pictures to compare by patches, and by what a classifier sees; patches cost more.
PATCH_PICTURES, CLASSIFIER_PICTURES = 256, 10_000
HEADINGS = {
    "sampler": "sampler",
    "steps": "steps",
    "guidance": "guidance",
    "swd_ratio": "SWD / floor",
    "class_accuracy": "read as asked",
    "classifier_frechet_ratio": "classifier's Fréchet distance / floor",
    "seconds": "s per picture",
}

Judge = Callable[[PictureSet], dict[str, float]]


class Setting(NamedTuple):
    """What tells rows apart."""

    checkpoint: str
    sampler: str
    steps: int
    guidance: float
    pictures: int


def main(
    data: Annotated[Path, typer.Option(help="folder or archive of pictures that the denoiser was trained on")],
    checkpoint: Annotated[Path, typer.Option(help="checkpoint folder")] = Path("checkpoints/faces-128"),
    samplers: Annotated[str, typer.Option(help="samplers, joined by commas")] = ",".join(SAMPLERS),
    steps: Annotated[str, typer.Option(help="numbers of steps, joined by commas")] = ",".join(map(str, STEPS)),
    guidance: Annotated[str, typer.Option(help="guidance to the classes, if there are any")] = str(GUIDANCE),
    pictures: Annotated[int, typer.Option(min=8, help="pictures for a row, at least")] = PICTURES,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="write rows to this file as they come, and keep those it has")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps, or auto")] = "auto",
) -> None:
    """Print quality and seconds of every sampler in every number of steps as a table."""
    with in_one_sentence():
        model = LatentDiffusion.load(checkpoint, device)
        requests = requests_of(samplers.split(","), steps.split(","), guidance.split(",") if model.classes else ["1"])
        each = len(model.classes) or 1
        count = -(-pictures // each) * each
        settings = {setting_of(model, request, count): request for request in requests}
        rows = read_rows(json_file, setting_in)
        missing = {setting: request for setting, request in settings.items() if setting not in rows}
        if missing:
            judge = by_classifier(model, checkpoint, data, count) if model.classes else by_patches(model, data, count)
            warm_up(model, next(iter(missing.values())))
        for setting, request in missing.items():
            rows[setting] = setting._asdict() | measured(model, request, count, judge)
            typer.echo(" ".join(map(cell, rows[setting].values())), err=True)
            if json_file:
                write_rows(json_file, rows.values())
    typer.echo(as_table([rows[setting] for setting in settings]))


def requests_of(
    samplers: Sequence[str], steps: Sequence[str], guidances: Sequence[str] = ("1",)
) -> list[GenerateRequest]:
    """A request for every sampler, number of steps and guidance, the fewest steps first.

    Raises:
        UserError: there is no such sampler, or none is to take so many steps.
    """
    if unknown := [name for name in samplers if name not in SAMPLERS]:
        raise UserError(f"there is no sampler {unknown[0]!r}; choose from: {', '.join(SAMPLERS)}.")
    if wrong := [number for number in steps if not number.isdecimal()]:
        raise UserError(f"{wrong[0]!r} is no number of steps; give some like 10,20.")
    numbers = sorted({int(number) for number in steps})
    found = [
        GenerateRequest(sampler=sampler, steps=number, guidance=guidance)
        for number in numbers
        for sampler in samplers
        for guidance in guidances
        if number <= LONG or sampler in LONG_SAMPLERS
    ]
    if not found:
        raise UserError(f"more than {LONG} steps are taken by {' and '.join(LONG_SAMPLERS)} only; choose one of them.")
    return found


def measured(model: LatentDiffusion, request: GenerateRequest, count: int, judge: Judge) -> dict[str, float]:
    """What `count` pictures made as requested measure, and the seconds each took."""
    start = time.perf_counter()
    samples = (sample_classes if model.classes else sample)(model, count, request=request)
    seconds = (time.perf_counter() - start) / count
    return judge(samples) | {"seconds": seconds}


def warm_up(model: LatentDiffusion, request: GenerateRequest) -> None:
    """Make a batch as requested in two steps, untimed: the first takes longer."""
    few = {"steps": 2, "label": model.classes[0] if model.classes else None}
    sample(model, BATCH, request=request.model_copy(update=few))


def by_patches(model: LatentDiffusion, data: Path, count: int) -> Judge:
    """Judge `count` pictures by their distance to training pictures over that of held-out ones.

    Raises:
        PictureError: the data cannot be read, or too few pictures are held out.
    """
    files = find_pictures(data)
    training = load_pictures(spread(files["train"], PATCH_PICTURES), model.size)
    floors = held_out_sets([files["val"]], model.size, count)
    floor = sliced_wasserstein(training, floors).mean(0)

    def judge(samples: PictureSet) -> dict[str, float]:
        return {"swd_ratio": (sliced_wasserstein(training, [samples])[0] / floor).mean().item()}

    return judge


def by_classifier(model: LatentDiffusion, checkpoint: Path, data: Path, count: int) -> Judge:
    """Judge `count` pictures of classes by what a classifier reads and sees in them.

    Raises:
        PictureError: the data cannot be read or has other classes, or too few pictures are held out.
    """
    found = with_classes_of(model, checkpoint, data)
    held_out: list[list[Source]] = [[] for _ in model.classes]
    for source, label in zip(found.sources["val"], found.labels["val"], strict=True):
        if label < len(held_out):
            held_out[label].append(source)
    floors = held_out_sets(held_out, model.size, count // len(held_out))
    classifier = classifier_of(model, found)
    network = of_classes(classifier)
    training = extract_features(
        network, load_pictures(spread(found.sources["train"], CLASSIFIER_PICTURES), model.size)
    ).features

    def distance(pictures: PictureSet) -> float:
        return frechet_distance(training, extract_features(network, pictures).features)

    floor = mean(map(distance, floors))

    def judge(samples: PictureSet) -> dict[str, float]:
        accuracy = classifier_accuracy(classifier, samples)
        return {"class_accuracy": accuracy, "classifier_frechet_ratio": distance(samples) / floor}

    return judge


def held_out_sets(kinds: Sequence[Sequence[Source]], size: int, each: int) -> list[PictureSet]:
    """Disjoint sets of held-out pictures at `size` pixels, `each` of every kind (a list of files) in a set.

    Raises:
        PictureError: of some kind not that many can be used.
    """
    loaded = [load_pictures(files, size) if files else None for files in kinds]
    fewest = min(len(pictures) if pictures else 0 for pictures in loaded)
    if fewest < each:
        of = "of a class " if len(kinds) > 1 else ""
        raise PictureError(
            f"only {fewest} pictures {of}are held out and can be used, too few to compare {each} with; ask for fewer."
        )
    subsets = [groups(pictures, each) for pictures in loaded if pictures]
    return [PictureSet(torch.cat([kind.pixels for kind in one]), []) for one in zip(*subsets, strict=False)]


def spread(files: Sequence[Source], most: int) -> Sequence[Source]:
    """At most `most` of the files, evenly spread over all."""
    return files[:: -(-len(files) // most)]


def setting_of(model: LatentDiffusion, request: GenerateRequest, count: int) -> Setting:
    """What is measured in a row."""
    return Setting(model.name, request.sampler, request.steps, request.guidance, count)


def setting_in(row: Row) -> Setting:
    """What tells a row from others."""
    return Setting(**{name: row[name] for name in Setting._fields})


def as_table(rows: Sequence[Row]) -> str:
    """Rows as a table, without a guidance that all have."""
    same = {"guidance"} if len({row["guidance"] for row in rows}) == 1 else set()
    return table(rows, {name: heading for name, heading in HEADINGS.items() if name not in same})


if __name__ == "__main__":
    run(main)
