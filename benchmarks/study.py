"""`python -m benchmarks.study`: the family side by side on pictures with classes, from training to one table.

Example:
    python -m benchmarks.study --data imagenet100/train --size 64 --out study-imagenet --iterations 20000

Two models are trained alike, of pixels and of an autoencoder's latents. Rows are held-out pictures, DDPM in 999 steps,
DDIM in 200, 50 and 20, the autoencoder alone, and guidance to the class without and with it. Columns are how many a
small classifier trained here reads as asked, Fréchet and kernel distance, precision, recall and variety in its
features, seconds and megabytes; with --inception also FID and Inception Score, comparable for as many pictures only.

Everything is kept in OUT: the same command goes on where it was interrupted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from benchmarks.judging import REAL, Judge, table
from benchmarks.rows import read_rows, write_rows
from ddpm_core.checkpoints.native import FILES, finished_after, read_weights, write_weights
from ddpm_core.cli import in_one_sentence, merge, run
from ddpm_core.data.find import DataSet, find
from ddpm_core.data.load import PictureSet, load_pictures
from ddpm_core.errors import UserError
from ddpm_core.evaluation.classifier import SETTINGS, Classifier, trained_classifier
from ddpm_core.evaluation.features import inception
from ddpm_core.evaluation.samples import sample_classes
from ddpm_core.images.files import to_bytes
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest
from ddpm_core.training.output_folder import claimed
from ddpm_core.training.pictures import Pictures, read_pictures
from ddpm_core.training.presets import PRESETS
from ddpm_core.training.settings import TrainRequest
from ddpm_core.training.stages.run import run_stage
from ddpm_core.training.stages.stage import weights_file

PLAIN = {"DDPM 999": ("ddpm", 999), "DDIM 200": ("ddim", 200), "DDIM 50": ("ddim", 50), "DDIM 20": ("ddim", 20)}
ROWS, READER = "rows.json", "reader.safetensors"
LATENT = {  # beside the preset digits
    "codec": "vae",
    "vae": {"batch_size": 32, "learning_rate": 6e-4, "channels": (64, 128)},
    "denoiser": {"channels": (96, 160)},
}

Make = Callable[[int], PictureSet]


def main(
    data: Annotated[Path, typer.Option(help="folder or archive of pictures with classes")],
    out: Annotated[Path, typer.Option(help="folder for checkpoints and rows")] = Path("study"),
    size: Annotated[int, typer.Option(min=8, help="side of the pictures, pixels")] = 32,
    iterations: Annotated[int, typer.Option(min=1, help="optimiser steps of each denoiser")] = 2400,
    vae_iterations: Annotated[int, typer.Option(min=1, help="optimiser steps of the autoencoder")] = 3000,
    reader_iterations: Annotated[int, typer.Option(min=1, help="those of the classifier that reads")] = 1200,
    channels: Annotated[str, typer.Option(help="widths of both denoisers instead of the usual ones")] = "",
    guidance: Annotated[str, typer.Option(help="guidance to the class, joined by commas")] = "3,4,5,6",
    steps: Annotated[int, typer.Option(min=1, max=999, help="of DDIM where guidance is compared")] = 50,
    most_steps: Annotated[int, typer.Option(min=1, max=999, help="leave out rows of more steps")] = 999,
    pictures: Annotated[int, typer.Option(min=2, help="pictures of each class for a row")] = 8,
    inception_file: Annotated[
        Path | None, typer.Option("--inception", help="weights of FID's Inception-v3, for FID and Inception Score")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps, or auto")] = "auto",
) -> None:
    """Train both models, measure all rows and print them as a table."""
    with in_one_sentence():
        found = find(data)
        if not found.classes or not found.sources["val"]:
            raise UserError(f"{data} needs classes, and some pictures held out, to compare by; see docs/training.md.")
        budget: dict[str, Any] = {"denoiser": {"iterations": iterations}, "vae": {"iterations": vae_iterations}}
        if channels:
            budget = merge(budget, {"denoiser": {"channels": channels}})
        common = {"data": data, "size": size, "device": device, "resume": True, "flips": True}
        requests = {
            name: TrainRequest.model_validate(merge(PRESETS["digits"], of, budget, common, {"out": out / name}))
            for name, of in {"pixels": {}, "latents": LATENT}.items()
        }
        models = {name: trained(request) for name, request in requests.items()}
        judge = Judge(
            found,
            size,
            reader_of(found, size, reader_iterations, out / READER, models["pixels"].device),
            inception(inception_file, models["pixels"].device) if inception_file else None,
        )
        file, names = out / ROWS, []
        rows = read_rows(file, itemgetter("name"))
        for name, made, weights in contestants(models, judge, guidance, steps, most_steps):
            names.append(name)
            if name in rows:
                continue
            start = time.perf_counter()
            shown = made(pictures)
            seconds = (time.perf_counter() - start) / len(shown)
            rows[name] = {"name": name} | judge.measure(shown)
            if weights:
                rows[name] |= {"seconds": seconds, "megabytes": weights}
            write_rows(file, rows.values())
            typer.echo(table([rows[name]], "model").splitlines()[-1], err=True)
    typer.echo(table([rows[name] for name in names], "model"))


def trained(request: TrainRequest) -> LatentDiffusion:
    """The model of a run, which goes on where it was, or begins."""
    read: Pictures | None = None
    for stage in request.stages:
        if finished_after(weights_file(request.out, stage)) != getattr(request, stage).iterations:
            read = read or read_pictures(request)
            with claimed(request.out):
                for _ in run_stage(stage, request, read, say=typer.echo):
                    pass
    return LatentDiffusion.load(request.out, request.device)


def reader_of(found: DataSet, size: int, iterations: int, file: Path, device: torch.device) -> Classifier:
    """The classifier that reads pictures of the data, kept in a file once it is trained."""
    if not file.exists():
        training = load_pictures(found.sources["train"], size, labels=found.labels["train"])
        settings = SETTINGS.model_copy(update={"iterations": iterations})
        write_weights(file, trained_classifier(training, len(found.classes), device, settings))
    return read_weights(file, Classifier(len(found.classes)), device)


def contestants(
    models: dict[str, LatentDiffusion], judge: Judge, guidance: str, steps: int, most_steps: int
) -> Iterator[tuple[str, Make, float]]:
    """Of each row its name, what makes so many pictures of each class, and megabytes of weights; 0 for none.

    Raises:
        UserError: a guidance is no number.
    """
    scales = [number(text) for text in guidance.split(",")]
    pixels, latents = models["pixels"], models["latents"]
    yield REAL, judge.real, 0.0
    for name, (sampler, count) in PLAIN.items():
        if count <= most_steps:
            yield name, made_by(pixels, sampler, count, 1), megabytes(pixels)
    yield "autoencoder alone", lambda each: there_and_back(latents, judge.real(each)), megabytes(latents, FILES[1])
    for which, model in (("", pixels), ("autoencoder + ", latents)):
        for scale in [1.0, *scales] if which else scales:
            name = f"{which}DDIM {steps}, guidance {scale:g}"
            yield name, made_by(model, "ddim", steps, scale), megabytes(model)


def number(text: str) -> float:
    """A guidance as it is typed."""
    try:
        return GenerateRequest(guidance=float(text)).guidance
    except ValueError:
        raise UserError(f"{text!r} is no guidance; give numbers from 0 to 20, like 3,4,5,6.") from None


def made_by(model: LatentDiffusion, sampler: str, steps: int, guidance: float) -> Make:
    request = GenerateRequest(sampler=sampler, steps=steps, guidance=guidance)
    return lambda each: sample_classes(model, each * len(model.classes), request=request)


@torch.inference_mode()
def there_and_back(model: LatentDiffusion, pictures: PictureSet) -> PictureSet:
    """What the autoencoder restores of pictures."""
    restored = [model.codec.decode(model.codec.encode(image.to(model.device))) for image in pictures.batches(32)]
    pixels = torch.from_numpy(to_bytes(torch.cat(restored))).permute(0, 3, 1, 2)
    return PictureSet(pixels, [], pictures.labels)


def megabytes(model: LatentDiffusion, *files: str) -> float:
    """Size on disk of a model's weights, or of some of its files."""
    assert model.folder is not None
    return sum((model.folder / name).stat().st_size for name in files or FILES[1:]) / 1e6


if __name__ == "__main__":
    run(main)
