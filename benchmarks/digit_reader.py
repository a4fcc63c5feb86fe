"""A small classifier of digits, for benchmarks and tests that have no pictures of digits.

    python -m benchmarks.digit_reader mnist.npz

makes `digit_reader.safetensors` anew and prints its accuracy on held-out digits.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import typer

from ddpm_core.checkpoints.native import read_weights, write_weights
from ddpm_core.data.find import find
from ddpm_core.data.load import PictureSet, load_pictures
from ddpm_core.evaluation.classifier import SETTINGS, Classifier, classifier_accuracy, trained_classifier

WEIGHTS = Path(__file__).with_suffix(".safetensors")
DIGITS, SIZE = 10, 32
ITERATIONS, PICTURES = 400, 20_000  # enough to read digits by; `evaluate` takes three times as many of both


def reader() -> Classifier:
    """The kept classifier, ready for use."""
    return read_weights(WEIGHTS, Classifier(DIGITS))


def learned(data: Path) -> float:
    """Train the kept classifier anew on MNIST; its accuracy on the held-out digits."""
    found = find(data)

    def pictures(split: str) -> PictureSet:
        apart = max(1, len(found.sources[split]) // PICTURES)
        return load_pictures(found.sources[split][::apart], SIZE, labels=found.labels[split][::apart])

    settings = SETTINGS.model_copy(update={"iterations": ITERATIONS})
    write_weights(WEIGHTS, trained_classifier(pictures("train"), DIGITS, torch.device("cpu"), settings))
    return classifier_accuracy(reader(), pictures("val"))


if __name__ == "__main__":
    typer.echo(f"{learned(Path(sys.argv[1])):.4f} of the held-out digits are read right.")
