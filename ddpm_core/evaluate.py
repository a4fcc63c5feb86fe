"""`python -m ddpm_core.evaluate`: measure a checkpoint on held-out pictures.

Example:
    python -m ddpm_core.evaluate --checkpoint checkpoints/faces-128 --data photos --json measures.json

Held out are the pictures `labels.csv` says, a folder `val` or `test`, or every twentieth (see `datasets.find`). The
autoencoder is measured on all of them. The denoiser may have learned from only a part of the data: if its
`config.json` names a folder that DATA has inside, then samples and fillings are measured against the
pictures of that folder, otherwise against all of DATA.

Samples are compared with training pictures in the features of a network, too. FID, KID and Inception Score, and
precision and recall beside published ones, take the weights of FID's Inception-v3, from a file of yours:

    python -m ddpm_core.evaluate --data photos --inception pt_inception-2015-12-05-6726825d.pth

Without it, the same is computed in the features of a small classifier that is trained on DATA on the spot, and called
after it; see `evaluation/features.py`.

What is printed has aims beside some numbers (`evaluation/measures.py`): those of the shipped faces-128, and of digits
for class accuracy. What is written as JSON are the numbers alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from ddpm_core.checkpoints import folders
from ddpm_core.cli import in_one_sentence, output_file, output_folder, run
from ddpm_core.data.find import AUTO, NONE, DataSet, find
from ddpm_core.data.load import PictureSet, find_pictures, load_pictures
from ddpm_core.diffusion.samplers import last
from ddpm_core.errors import UserError
from ddpm_core.evaluation import metrics
from ddpm_core.evaluation.classifier import Classifier, share_read_right, trained_classifier
from ddpm_core.evaluation.denoising import BATCH, measure_denoising
from ddpm_core.evaluation.distances import distances_to_training, memorised
from ddpm_core.evaluation.feature_distances import FEWEST, compared
from ddpm_core.evaluation.features import FeatureNetwork, inception, of_classes, of_turns
from ddpm_core.evaluation.likelihood import measure_likelihood
from ddpm_core.evaluation.measures import table
from ddpm_core.images.files import PictureError, Source, as_rgb, open_picture, to_bytes
from ddpm_core.images.masks import dilate
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest, InpaintRequest
from ddpm_core.training.masks import random_regions
from ddpm_core.training.reconstruction import gradient_ratio, reconstruction_psnr


def main(
    data: Annotated[
        Path,
        typer.Option(
            help="folder of pictures; its held-out share is measured. Samples and fillings are measured against the "
            "subfolder the denoiser was trained on, if there is one of that name, and else against all of it"
        ),
    ],
    checkpoint: Annotated[Path, typer.Option(help="checkpoint folder")] = Path("checkpoints/faces-128"),
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
        if json_file:  # before the work, which takes minutes
            output_folder(json_file.parent)
        if not model.unconditional:
            raise UserError(
                f"{model.name} always wants a class and cannot be measured: most of what is measured is told none."
            )
        seen = seen_by_denoiser(checkpoint, data)
        typer.echo(f"Autoencoder measured on {data}, samples and fillings on {seen}.")
        network = inception(inception_file, model.device) if inception_file else None
        labelled = with_classes_of(model, checkpoint, seen) if model.classes else None
        classifier = classifier_of(model, labelled) if labelled else None
        network = network or (of_classes(classifier) if classifier else None)
        measures = measure_codec(model, find_pictures(data))
        measures |= measure_denoiser(model, find_pictures(seen), samples, fills, network)
        measures |= measure_likelihood(model, find_pictures(seen))
        measures |= measure_denoising(model, labelled or find(seen, NONE))
        if labelled and classifier:
            measures |= measure_classes(model, labelled, classifier, samples)
        if json_file:
            json_file.write_text(json.dumps(measures, indent=2) + "\n", encoding="utf-8")
    for line in table(measures):
        typer.echo(line)


def seen_by_denoiser(checkpoint: Path, data: Path) -> Path:
    """The folder in `data` of the name that `config.json` says the denoiser was trained on, or else `data`."""
    trained_on = folders.training_of(checkpoint).get("denoiser", {}).get("data")
    part = data / Path(str(trained_on)).name
    return part if trained_on and part.is_dir() else data


def measure_codec(model: LatentDiffusion, files: dict[str, list[Source]]) -> dict[str, Any]:
    """What the autoencoder measures on the held-out pictures (on all of them, if none is held out)."""
    pictures = load_pictures(files["val"] or files["train"], model.size)
    with torch.inference_mode():
        latents = model.codec.encode(pictures.batch(torch.arange(min(16, len(pictures)))).to(model.device))
    local = metrics.locality(model.codec, latents)
    return {
        "pictures": len(pictures),
        "psnr": reconstruction_psnr(model.codec, pictures),
        "gradient_ratio": gradient_ratio(model.codec, pictures),
        "locality_radius": local.radius,
        "locality_3x3": local.within_3x3,
    }


def measure_denoiser(
    model: LatentDiffusion,
    files: dict[str, list[Source]],
    samples: int,
    fills: int,
    network: FeatureNetwork | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """What samples and fillings measure; distances are None if no picture is held out to compare with.

    Args:
        network: in whose features samples are compared as well; None to train one on the pictures (`of_turns`).
    """
    measures: dict[str, Any] = {"samples": samples, "swd": None, "swd_floor": None, "swd_ratio": None}
    measures |= {"nearest_distance": None, "nearest_distance_floor": None, "memorised_share": None, "features": None}
    if files["val"]:
        training, held_out = (load_pictures(files[split], model.size) for split in ("train", "val"))
        made = sample(model, samples, seed)
        ours, floor = distances_to_training(training, made, held_out)
        ratio = [distance / max(least, 1e-9) for distance, least in zip(ours, floor, strict=True)]
        measures |= {"swd": ours, "swd_floor": floor, "swd_ratio": ratio}
        measures |= memorised(made, held_out, training)
        if min(len(training), len(made), len(held_out)) >= FEWEST:
            measures |= compared(network or of_turns(training, model.device), training, made, held_out)
    return measures | measure_fills(model, some_pictures(files["val"] or files["train"], fills))


def with_classes_of(model: LatentDiffusion, checkpoint: Path, data: Path) -> DataSet:
    """The data with the classes that the checkpoint was trained on.

    Raises:
        PictureError: it does not have these.
    """
    how = folders.training_of(checkpoint).get("denoiser", {}).get("classes", AUTO)
    found = find(data, how)
    if found.classes != model.classes:
        raise PictureError(f"{data} does not have the classes that {checkpoint} has, so these cannot be measured.")
    return found


def classifier_of(model: LatentDiffusion, found: DataSet) -> Classifier:
    """A classifier of the model's classes, trained here on the data's training pictures at the model's size."""
    training = load_pictures(found.sources["train"], model.size, labels=found.labels["train"])
    return trained_classifier(training, len(model.classes), model.device)


def measure_classes(
    model: LatentDiffusion, found: DataSet, classifier: Classifier, samples: int, seed: int = 0
) -> dict[str, float]:
    """How often a picture of a class shows it, as a classifier trained on the same data reads it."""
    split = "val" if found.sources["val"] else "train"
    held_out = load_pictures(found.sources[split], model.size, labels=found.labels[split])
    made = sample_classes(model, samples, seed)
    return {
        "class_samples": len(made),
        "class_accuracy": share_read_right(classifier, made),
        "classifier_accuracy": share_read_right(classifier, held_out),
    }


def sample_classes(
    model: LatentDiffusion, count: int, seed: int = 0, request: GenerateRequest | None = None
) -> PictureSet:
    """At least `count` pictures, equally many of each class, labelled with it; made as `sample` makes them."""
    request, each = request or GenerateRequest(), -(-count // len(model.classes))
    made = [
        sample(model, each, seed + number * each, request.model_copy(update={"label": label})).pixels
        for number, label in enumerate(model.classes)
    ]
    return PictureSet(torch.cat(made), [], torch.arange(len(model.classes)).repeat_interleave(each))


def sample(model: LatentDiffusion, count: int, seed: int = 0, request: GenerateRequest | None = None) -> PictureSet:
    """Pictures of the seeds from `seed` on, made as `ddpm_core.sample` does by default or as `request` says."""
    request, pixels = request or GenerateRequest(), []
    for first in tqdm(range(0, count, BATCH), desc="sampling", unit="batch", disable=None):
        batch = {"seed": seed + first, "count": min(BATCH, count - first)}
        pixels.append(_pixels(model, last(model.generate(request.model_copy(update=batch))).latent))
    return PictureSet(torch.cat(pixels), [])


@torch.inference_mode()
def _pixels(model: LatentDiffusion, latent: Tensor) -> Tensor:
    return torch.from_numpy(to_bytes(model.codec.decode(latent))).permute(0, 3, 1, 2)


def some_pictures(paths: Sequence[Source], count: int) -> list[Image.Image]:
    """At most `count` of the pictures that can be read, spread evenly over the files.

    Raises:
        PictureError: not one of the files could be read.
    """
    pictures = []
    for place in np.linspace(0, len(paths) - 1, min(count, len(paths))).round().astype(int):
        try:
            pictures.append(open_picture(paths[place]))
        except PictureError as error:
            unreadable = error
    if not pictures:
        raise unreadable
    return pictures


def measure_fills(
    model: LatentDiffusion, pictures: Sequence[Image.Image], request: InpaintRequest | None = None
) -> dict[str, float]:
    """Inpaint pictures under random masks, from two seeds each, as the app does by default or as `request` says.

    Kept pixels are compared at the picture's own size. Everything else is measured on pictures reduced to the
    model's size, where a fill can be as sharp as what surrounds it. Feathering is off: it would hide a
    seam, and here the seam is what is measured. The model is shown whole pictures: how faces are found in them is
    not its doing.
    """
    request = (request or InpaintRequest()).model_copy(update={"count": 2, "feather": 0, "crop": "whole"})
    worst = 0
    seams: dict[str, list[np.ndarray]] = {"inpainted": [], "untouched": []}
    differences: dict[str, list[float]] = {"edge_distance": [], "fill_distance": [], "fill_diversity": []}
    for number, picture in enumerate(tqdm(pictures, desc="inpainting", unit="picture", disable=None)):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(request.seed + number)
            painted = random_regions(1, picture.height, picture.width)[0, 0].numpy()
        one = request.model_copy(update={"seed": request.seed + 2 * number})
        frame = model.frame(one, picture, painted)
        fills = model.pictures(last(model.inpaint(one, frame.image(), frame.mask())).latent)
        for fill in fills:
            change = np.abs(np.asarray(frame.paste(fill), dtype=int) - np.asarray(picture, dtype=int))
            worst = max(worst, int(change[~painted].max(initial=0)))

        small = frame.reduced(model.size)
        original = np.asarray(as_rgb(small.picture), dtype=int)
        first, second = (np.asarray(as_rgb(small.paste(fill)), dtype=int) for fill in fills)
        at_edge = small.painted & dilate(~small.painted, model.codec.stride)
        for result in (first, second):
            seams["inpainted"].append(metrics.edge_steps(result, small.painted))
            seams["untouched"].append(metrics.edge_steps(original, small.painted))
            change = np.abs(result - original)
            differences["edge_distance"].append(change[at_edge].mean())
            differences["fill_distance"].append(change[small.painted].mean())
        differences["fill_diversity"].append(np.abs(first - second)[small.painted].mean())
    inpainted, untouched = (np.concatenate(found).mean() for found in seams.values())
    return {
        "fills": len(pictures),
        "kept_max_diff": worst,
        "seam_ratio": float(inpainted / max(untouched, 1e-9)),  # a folder of blank pictures has no steps at all
        **{name: float(np.mean(values)) for name, values in differences.items()},
    }


if __name__ == "__main__":
    run(main)
