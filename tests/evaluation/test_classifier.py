"""The classifier that reads samples, and what evaluating a checkpoint with classes says."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image

from ddpm_core.commands import evaluate
from ddpm_core.data.load import PictureSet
from ddpm_core.evaluation import checkpoint as measuring
from ddpm_core.evaluation.classifier import SETTINGS, classifier_accuracy, trained_classifier
from ddpm_core.pipeline import LatentDiffusion
from tests.command_lines import assert_refused
from tests.conftest import CLASSES

SHORT = SETTINGS.model_copy(update={"iterations": 40, "batch_size": 16, "warmup": 5})
CPU = torch.device("cpu")


def bars(count: int, seed: int) -> PictureSet:
    """Noise with a bright bar, upright (class 0) or lying (1); every third is of no known class."""
    torch.manual_seed(seed)
    pixels, labels = torch.randint(0, 90, (count, 3, 16, 16)), torch.arange(count) % 3
    for number in range(count):
        place = int(torch.randint(0, 14, ()))
        bar = (slice(None), slice(place, place + 2)) if labels[number] else (slice(place, place + 2),)
        pixels[number, :, *bar] = 255
    return PictureSet(pixels.to(torch.uint8), [], labels)


def test_it_learns_what_tells_classes_apart_and_is_measured_on_known_ones() -> None:
    classifier = trained_classifier(bars(120, seed=0), 2, CPU, SHORT)
    others = bars(60, seed=1)
    assert classifier_accuracy(classifier, others) > 0.9
    assert others.labels is not None
    swapped = PictureSet(others.pixels, [], torch.where(others.labels < 2, 1 - others.labels, 2))
    assert classifier_accuracy(classifier, others) + classifier_accuracy(classifier, swapped) == pytest.approx(1)


def test_training_it_leaves_the_global_random_numbers_alone() -> None:
    pictures = bars(12, seed=0)
    before = torch.get_rng_state()
    trained_classifier(pictures, 2, CPU, SHORT.model_copy(update={"iterations": 1}))
    assert torch.equal(torch.get_rng_state(), before)


def test_pictures_of_no_known_class_cannot_be_measured() -> None:
    pictures = bars(12, seed=0)
    classifier = trained_classifier(pictures, 2, CPU, SHORT.model_copy(update={"iterations": 1}))
    with pytest.raises(ValueError, match="no picture whose class"):
        classifier_accuracy(classifier, PictureSet(pictures.pixels, [], torch.full((12,), 2)))


def folders(root: Path, names: list[str], each: int = 20) -> Path:
    for shade, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for number in range(each):
            Image.new("RGB", (32, 32), (50 * shade, 3 * number, 0)).save(root / name / f"{number}.png")
    return root


def test_evaluating_a_checkpoint_with_classes_reads_its_samples(
    call, class_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "trained_classifier", partial(trained_classifier, settings=SHORT))
    data, report = folders(tmp_path / "data", CLASSES), tmp_path / "measures.json"
    arguments = ["--checkpoint", class_checkpoint, "--data", data, "--json", report, "--device", "cpu"]
    outcome = call(evaluate.main, *arguments, "--samples", 4, "--fills", 1)
    assert outcome.status == 0, outcome.err
    measures = json.loads(report.read_text())
    assert measures["features"] is None  # four are too few to compare
    assert measures["class_samples"] == 6  # two of each class, at least as many as asked for
    assert 0 <= measures["class_accuracy"] <= 1
    assert measures["classifier_accuracy"] == 1  # shades of red, held out
    assert measures["kept_max_diff"] == 0
    assert measures["locality_radius"] == 0
    assert all(name in outcome.out for name in measures)


def test_without_held_out_pictures_the_classifier_is_judged_by_those_there_are(
    class_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "trained_classifier", partial(trained_classifier, settings=SHORT))
    model = LatentDiffusion.load(class_checkpoint, "cpu")
    found = measuring.with_classes_of(model, class_checkpoint, folders(tmp_path / "data", CLASSES, each=4))
    classifier = measuring.classifier_of(model, found)
    assert not found.sources["val"]
    assert 0 <= measuring.measure_classes(model, found, classifier, 3)["classifier_accuracy"] <= 1


def test_data_with_other_classes_than_the_checkpoint_is_refused(call, class_checkpoint: Path, tmp_path: Path) -> None:
    data = folders(tmp_path / "data", ["fly", "gnat"])
    arguments = ["--checkpoint", class_checkpoint, "--data", data, "--samples", 1, "--fills", 1]
    assert_refused(call(evaluate.main, *arguments), "classes", str(data))
