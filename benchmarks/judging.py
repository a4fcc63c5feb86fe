"""The columns that `benchmarks.guidance` and `benchmarks.study` have in common: what pictures of classes measure.

Rows are kept in a file, so that an interrupted benchmark goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ddpm_core.checkpoints.atomic import write_atomically
from ddpm_core.data.find import DataSet
from ddpm_core.data.load import PictureSet, load_pictures
from ddpm_core.errors import UserError
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
Row = dict[str, Any]


class Judge:
    """Measures sets of pictures of classes beside the training pictures, in a classifier's features.

    Args:
        found: the data, with classes.
        size: pixels of the pictures.
        classifier: reads them, and has the features.
        inception: FID's network, for two columns more; None for none.
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
        seen = extract_features(self.network, pictures)
        measured = beside(self.reference, seen)
        row = {name: measured[name] for name in ("frechet", "precision", "recall")} | {"kernel": measured["kernel"][0]}
        row["read"] = classifier_accuracy(self.classifier, pictures)
        varied = diversity(self.network.name, self.reference.features, self.labels, seen.features, pictures.labels)
        row |= {name: varied[f"{self.network.name}_{name}"] for name in ("unique", "modes", "perceptual") if varied}
        if self.inception and self.by_inception:
            official = beside(self.by_inception, extract_features(self.inception, pictures))
            row |= {"fid": official["frechet"], "score": official["score"]}
        return row

    def real(self, each: int) -> PictureSet:
        """`each` held-out pictures of every class, what samples are to be like.

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


def read_rows(file: Path | None) -> dict[str, Row]:
    """The rows that a file has, by name; none if there is no such file yet. Raises `UserError`: it is none of ours."""
    if file is None or not file.exists():
        return {}
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        return {row["name"]: row for row in rows}
    except (ValueError, TypeError, LookupError):
        raise UserError(f"{file} holds no rows of this benchmark; name another file, or move it away.") from None


def write_rows(file: Path, rows: Iterable[Row]) -> None:
    """Write rows at once, so that an interruption leaves the earlier ones."""
    text = json.dumps(list(rows), indent=2) + "\n"
    write_atomically(file, lambda partial: partial.write_text(text, encoding="utf-8"))


def table(rows: Sequence[Mapping[str, Any]], first: str) -> str:
    """Rows as a table in Markdown, the name first, without columns that no row has."""
    columns = [name for name in HEADINGS if any(name in row for row in rows)]
    lines = [[first, *(HEADINGS[name] for name in columns)], ["---"] * (1 + len(columns))]
    lines += [[row["name"], *(_cell(row.get(name)) for name in columns)] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
