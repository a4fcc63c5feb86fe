"""What is measured of a checkpoint: codec, denoiser, classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ddpm_core.checkpoints import folders
from ddpm_core.data.find import AUTO, HELD_OUT_FRACTION, DataSet, find
from ddpm_core.data.load import load_pictures
from ddpm_core.evaluation import metrics
from ddpm_core.evaluation.classifier import Classifier, classifier_accuracy, trained_classifier
from ddpm_core.evaluation.distances import distances_to_training, memorised
from ddpm_core.evaluation.diversity import diversity
from ddpm_core.evaluation.eyes import eyes_found
from ddpm_core.evaluation.feature_distances import FEWEST, REFERENCE, compared
from ddpm_core.evaluation.features import FeatureNetwork, extract_features, of_classes, of_turns
from ddpm_core.evaluation.fills import measure_fills, some_pictures
from ddpm_core.evaluation.samples import sample, sample_classes
from ddpm_core.images.files import PictureError, Source
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.training.reconstruction import gradient_ratio, reconstruction_psnr
from ddpm_core.training.settings import StageName

MOST = 4096  # pictures that the autoencoder is measured on


def data_of_denoiser(checkpoint: Path, data: Path) -> Path:
    """The folder in `data` that `config.json` names as the denoiser's, or else `data`."""
    trained_on = folders.training_of(checkpoint).get("denoiser", {}).get("data")
    inside = data / Path(str(trained_on)).name
    return inside if trained_on and inside.is_dir() else data


def held_out_by(checkpoint: Path, stage: StageName) -> float:
    """The fraction of its pictures that a stage's run held out."""
    return folders.training_of(checkpoint).get(stage, {}).get("held_out", HELD_OUT_FRACTION)


def measure_codec(model: LatentDiffusion, files: dict[str, list[Source]]) -> dict[str, Any]:
    """What the autoencoder measures on held-out pictures, or on all if none is; on `MOST`, evenly spread, of more."""
    some = files["val"] or files["train"]
    some = some[:: -(-len(some) // MOST)]
    pictures = load_pictures(some, model.size)
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
    """What samples and fills measure; distances are None without held-out pictures.

    Samples are compared in the features of `network`; None trains one on the pictures (`of_turns`).
    """
    measures: dict[str, Any] = {"samples": samples, "swd": None, "swd_floor": None, "swd_ratio": None}
    measures |= {"nearest_distance": None, "nearest_distance_floor": None, "memorised_share": None, "features": None}
    if model.framing == "face":
        measures |= {"eyes_found": None, "eyes_found_floor": None}
    if files["val"]:
        training, held_out = (load_pictures(files[split], model.size) for split in ("train", "val"))
        sampled = sample(model, samples, seed)
        ours, floor = distances_to_training(training, sampled, held_out)
        ratio = [distance / max(least, 1e-9) for distance, least in zip(ours, floor, strict=True)]
        measures |= {"swd": ours, "swd_floor": floor, "swd_ratio": ratio}
        measures |= memorised(sampled, held_out, training)
        if model.framing == "face":
            measures |= {"eyes_found": eyes_found(sampled), "eyes_found_floor": eyes_found(held_out)}
        if min(len(training), len(sampled), len(held_out)) >= FEWEST:
            measures |= compared(network or of_turns(training, model.device), training, sampled, held_out)
    return measures | measure_fills(model, some_pictures(files["val"] or files["train"], fills))


def with_classes_of(model: LatentDiffusion, checkpoint: Path, data: Path) -> DataSet:
    """The data with the checkpoint's classes; a `PictureError` if it has others."""
    how = folders.training_of(checkpoint).get("denoiser", {}).get("classes", AUTO)
    found = find(data, how, held_out_by(checkpoint, "denoiser"))
    if found.classes != model.classes:
        raise PictureError(f"{data} does not have the classes that {checkpoint} has, so these cannot be measured.")
    return found


def classifier_of(model: LatentDiffusion, found: DataSet) -> Classifier:
    """A classifier of the model's classes, trained here on the training pictures."""
    training = load_pictures(found.sources["train"], model.size, labels=found.labels["train"])
    return trained_classifier(training, len(model.classes), model.device)


def measure_classes(
    model: LatentDiffusion, found: DataSet, classifier: Classifier, samples: int, seed: int = 0
) -> dict[str, float]:
    """How often a classifier reads samples of a class, and held-out pictures, as such; how varied samples are."""
    split = "val" if found.sources["val"] else "train"
    held_out = load_pictures(found.sources[split], model.size, labels=found.labels[split])
    sampled = sample_classes(model, samples, seed)
    apart = max(1, len(found.sources["train"]) // REFERENCE)
    training = load_pictures(found.sources["train"][::apart], model.size, labels=found.labels["train"][::apart])
    assert training.labels is not None
    assert sampled.labels is not None
    network = of_classes(classifier)
    features = [extract_features(network, pictures).features for pictures in (training, sampled)]
    varied = diversity(network.name, features[0], training.labels, features[1], sampled.labels)
    return varied | {
        "class_samples": len(sampled),
        "class_accuracy": classifier_accuracy(classifier, sampled),
        "classifier_accuracy": classifier_accuracy(classifier, held_out),
    }
