"""What pictures of classes measure: the columns of `benchmarks.guidance` and `benchmarks.study`."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from benchmarks.rows import Row
from benchmarks.rows import table as rows_as_table
from ddpm_core.data.find import DataSet
from ddpm_core.data.load import PictureSet, load_pictures
from ddpm_core.evaluation.classifier import Classifier, classifier_accuracy
from ddpm_core.evaluation.diversity import diversity
from ddpm_core.evaluation.feature_distances import REFERENCE, beside
from ddpm_core.evaluation.features import FeatureNetwork, extract_features, of_classes
from ddpm_core.images.files import PictureError

REAL = "held-out pictures"
HEADINGS = {
    "read": "read as asked",
    "frechet": "Fréchet distance",
    "kernel": "kernel distance",
    "precision": "precision",
    "recall": "recall",
    "unique": "unique",
    "modes": "modes",
    "perceptual": "perceptual distance",
    "fid": "FID",
    "score": "Inception Score",
    "seconds": "s per picture",
    "megabytes": "MB",
}


class Judge:
    """Measures pictures of classes beside the training pictures, in a classifier's features.

    Args:
        size: pixels of the pictures.
        classifier: reads them, and has the features.
        inception: FID's network, for two columns more.
    """

    def __init__(self, found: DataSet, size: int, classifier: Classifier, inception: FeatureNetwork | None = None):
        self.found, self.size, self.classifier = found, size, classifier
        apart = -(-len(found.sources["train"]) // REFERENCE)
        training = load_pictures(found.sources["train"][::apart], size, labels=found.labels["train"][::apart])
        assert training.labels is not None
        self.network, self.inception, self.labels = of_classes(classifier), inception, training.labels
        self.reference = extract_features(self.network, training)
        self.by_inception = extract_features(inception, training) if inception else None

    def measure(self, pictures: PictureSet) -> dict[str, float]:
        """The columns, but for seconds and megabytes, of pictures with labels."""
        assert pictures.labels is not None
        sampled = extract_features(self.network, pictures)
        measured = beside(self.reference, sampled)
        row = {name: measured[name] for name in ("frechet", "precision", "recall")} | {"kernel": measured["kernel"][0]}
        row["read"] = classifier_accuracy(self.classifier, pictures)
        varied = diversity(self.network.name, self.reference.features, self.labels, sampled.features, pictures.labels)
        row |= {name: varied[f"{self.network.name}_{name}"] for name in ("unique", "modes", "perceptual") if varied}
        if self.inception and self.by_inception:
            official = beside(self.by_inception, extract_features(self.inception, pictures))
            row |= {"fid": official["frechet"], "score": official["score"]}
        return row

    def real(self, each: int) -> PictureSet:
        """`each` held-out pictures of every class.

        Raises:
            PictureError: of some class there are fewer.
        """
        labels = torch.as_tensor(self.found.labels["val"])
        chosen = [(labels == number).nonzero().flatten()[:each] for number in range(len(self.found.classes))]
        if (fewest := min(map(len, chosen))) < each:
            raise PictureError(f"only {fewest} pictures of a class are held out, not {each}; ask for fewer.")
        index = torch.cat(chosen)
        sources = [self.found.sources["val"][int(place)] for place in index]
        return load_pictures(sources, self.size, labels=labels[index].tolist())


def table(rows: Sequence[Row], first: str) -> str:
    """Rows as a table, under `first` their names."""
    return rows_as_table(rows, {"name": first, **HEADINGS})
