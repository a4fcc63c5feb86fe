"""What is measured of a checkpoint: codec, denoiser, classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch

from ddpm_core.checkpoints import folders
from ddpm_core.data.find import AUTO, HELD_OUT_FRACTION, NONE, DataSet, find
from ddpm_core.data.load import PictureSet, find_pictures, load_pictures
from ddpm_core.display.progress_bar import batches_watched, watched
from ddpm_core.evaluation import metrics
from ddpm_core.evaluation.classifier import Classifier, classifier_accuracy, trained_classifier
from ddpm_core.evaluation.denoising import measure_denoising
from ddpm_core.evaluation.distances import distances_to_training, memorised
from ddpm_core.evaluation.diversity import diversity
from ddpm_core.evaluation.eyes import eyes_found
from ddpm_core.evaluation.feature_distances import FEWEST, REFERENCE, compared
from ddpm_core.evaluation.features import FeatureNetwork, extract_features, inception, of_classes, of_turns
from ddpm_core.evaluation.fills import measure_fills, some_pictures
from ddpm_core.evaluation.likelihood import measure_likelihood
from ddpm_core.evaluation.samples import sample, sample_classes
from ddpm_core.images.files import PictureError, Source
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.training.reconstruction import BATCH, reconstruction
from ddpm_core.training.settings import StageName

MOST = 4096  # pictures that the autoencoder is measured on
DISTANCES = ("swd", "swd_floor", "swd_ratio")
COPIES = ("nearest_distance", "nearest_distance_floor", "memorised_share")
EYES = ("eyes_found", "eyes_found_floor")

Measures = dict[str, Any]
Steps = dict[str, Callable[[], Measures]]  # of the work, by name


def data_of_denoiser(checkpoint: Path, data: Path) -> Path:
    """The folder in `data` that `config.json` names as the denoiser's, or else `data`."""
    trained_on = folders.training_of(checkpoint).get("denoiser", {}).get("data")
    inside = data / Path(str(trained_on)).name
    return inside if trained_on and inside.is_dir() else data


def held_out_by(checkpoint: Path, stage: StageName) -> float:
    """The fraction of its pictures that a stage's run held out."""
    return folders.training_of(checkpoint).get(stage, {}).get("held_out", HELD_OUT_FRACTION)


def measure_codec(model: LatentDiffusion, files: dict[str, list[Source]]) -> Measures:
    """What the autoencoder measures on held-out pictures, or on all if none is; on `MOST`, evenly spread, of more."""
    some = files["val"] or files["train"]
    pictures = _read(some[:: -(-len(some) // MOST)], model.size)
    with torch.inference_mode():
        latents = model.codec.encode(pictures.batch(torch.arange(min(16, len(pictures)))).to(model.device))
    local = metrics.locality(model.codec, latents)
    watch = partial(batches_watched, pictures=len(pictures), size=BATCH, doing="reconstructing")
    return {
        "pictures": len(pictures),
        **reconstruction(model.codec, pictures, watch)._asdict(),
        "locality_radius": local.radius,
        "locality_3x3": local.within_3x3,
    }


@dataclass
class Samples:
    """Samples beside pictures learned from and held-out ones; each set is made when first asked for, and once."""

    model: LatentDiffusion
    files: dict[str, list[Source]]
    count: int
    network: FeatureNetwork | None = None  # whose features are compared; None trains one on the pictures (`of_turns`)
    seed: int = 0

    @cached_property
    def made(self) -> PictureSet:
        return sample(self.model, self.count, self.seed)

    @cached_property
    def training(self) -> PictureSet:
        return _read(self.files["train"], self.model.size)

    @cached_property
    def held_out(self) -> PictureSet:
        return _read(self.files["val"], self.model.size)

    def steps(self) -> Steps:
        """What is measured of them, by name; None of it without held-out pictures."""
        if not self.files["val"]:
            unmeasured = dict.fromkeys([*DISTANCES, *COPIES, "features"])
            eyes = dict.fromkeys(EYES if self.model.framing == "face" else ())
            return {"samples": lambda: {"samples": self.count, **unmeasured, **eyes}}
        eyes_of_faces = {"eyes in samples": self.eyes} if self.model.framing == "face" else {}
        return {
            "patches of samples": self.distances,
            "copies among samples": lambda: memorised(self.made, self.held_out, self.training),
            **eyes_of_faces,
            "features of samples": self.features,
        }

    def distances(self) -> Measures:
        ours, floor = distances_to_training(self.training, self.made, self.held_out)
        ratio = [distance / max(least, 1e-9) for distance, least in zip(ours, floor, strict=True)]
        return {"samples": self.count, **dict(zip(DISTANCES, (ours, floor, ratio), strict=True))}

    def eyes(self) -> Measures:
        return dict(zip(EYES, (eyes_found(self.made), eyes_found(self.held_out)), strict=True))

    def features(self) -> Measures:
        if min(len(self.training), len(self.made), len(self.held_out)) < FEWEST:
            return {"features": None}
        network = self.network or of_turns(self.training, self.model.device)
        return compared(network, self.training, self.made, self.held_out)


def _read(files: Sequence[Source], size: int) -> PictureSet:
    return load_pictures(files, size, watch=partial(watched, doing="reading pictures", unit="picture"))


def steps_of(
    model: LatentDiffusion, checkpoint: Path, data: Path, samples: int, fills: int, inception_file: Path | None = None
) -> Steps:
    """What there is to measure of a checkpoint, by name and in order: what needs no samples first.

    Raises `UserError` for data that does not fit it, before anything is measured.
    """
    denoiser_data = data_of_denoiser(checkpoint, data)
    network = inception(inception_file, model.device) if inception_file else None
    labelled = with_classes_of(model, checkpoint, denoiser_data) if model.classes else None
    classifier = classifier_of(model, labelled) if labelled else None
    network = network or (of_classes(classifier) if classifier else None)
    found = find(denoiser_data, NONE, held_out_by(checkpoint, "denoiser"))
    codec_data = find_pictures(data, held_out_by(checkpoint, "vae"))
    pictures = some_pictures(found.sources["val"] or found.sources["train"], fills)
    steps: Steps = {
        "reconstruction": lambda: measure_codec(model, codec_data),
        "denoising loss": lambda: measure_denoising(model, labelled or found),
        "likelihood": lambda: measure_likelihood(model, found.sources),
        "fillings": lambda: measure_fills(model, pictures),
        **Samples(model, found.sources, samples, network).steps(),
    }
    if labelled and classifier:
        steps["samples of classes"] = lambda: measure_classes(model, labelled, classifier, samples)
    return steps


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
