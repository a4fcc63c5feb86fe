"""Measures in the features of a network, held against closed forms, definitions and torch-fidelity's."""

from __future__ import annotations

import importlib
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.partly import imported
from ddpm_core.data.load import PictureSet
from ddpm_core.evaluation.feature_distances import (
    FEWEST,
    MEANING,
    class_score,
    compared,
    frechet_distance,
    kernel_distance,
    precision_recall,
)
from ddpm_core.evaluation.features import FeatureNetwork

NOT_NEEDED = (  # imported with torch-fidelity and not used by its measures
    "scipy", "scipy.linalg", "torchvision", "torchvision.datasets", "torchvision.transforms",
    "torchvision.transforms.functional",
)  # fmt: skip


def theirs(name: str) -> ModuleType:
    """A module of torch-fidelity, whose own imports ask for torchvision."""
    imported("torch_fidelity", NOT_NEEDED)
    return importlib.import_module(f"torch_fidelity.{name}")


def points(count: int, width: int = 6, seed: int = 0, shift: float = 0.0) -> Tensor:
    """Features (count, width), float64, correlated and off the middle."""
    draw = torch.Generator().manual_seed(seed)
    mix = torch.randn(width, width, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    return torch.randn(count, width, generator=draw, dtype=torch.float64) @ mix + shift


def test_the_frechet_distance_of_known_gaussians_is_known() -> None:
    # Points with exact moments: means 0 and (3, 0), variances (1, 4) and (9, 1), nothing correlated.
    corners = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]], dtype=torch.float64) * (3 / 4) ** 0.5
    a = corners * torch.tensor([1.0, 2])
    b = corners * torch.tensor([3.0, 1]) + torch.tensor([3.0, 0])
    assert frechet_distance(a, b) == pytest.approx(3**2 + (3 - 1) ** 2 + (2 - 1) ** 2)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_the_frechet_distance_follows_its_definition_with_fewer_points_than_dimensions_too() -> None:
    for count in (200, 5):
        a, b = points(count), points(count, seed=1, shift=0.5)
        first, second = (np.cov(each.numpy(), rowvar=False) for each in (a, b))
        root = np.sqrt(np.linalg.eigvals(first @ second).astype(complex)).real.sum()  # trace of the product's root
        apart = np.square(a.numpy().mean(0) - b.numpy().mean(0)).sum()
        reference = apart + np.trace(first) + np.trace(second) - 2 * root
        assert frechet_distance(a, b) == pytest.approx(reference, rel=1e-5, abs=1e-5)


def test_the_kernel_distance_is_that_of_torch_fidelity() -> None:
    kid, a, b = theirs("metric_kid"), points(40), points(40, seed=1, shift=0.3)
    reference = kid.kid_features_to_metric(a, b, kid_subsets=1, kid_subset_size=40, verbose=False)
    mean, deviation = kernel_distance(a, b, subsets=3, size=40)  # subsets are all there is, in differing order
    assert mean == pytest.approx(reference[kid.KEY_METRIC_KID_MEAN])
    assert deviation == pytest.approx(0, abs=1e-6)
    reference = kid.kid_features_to_metric(a, b, kid_subsets=400, kid_subset_size=20, verbose=False)
    mean, deviation = kernel_distance(a, b, subsets=400, size=20)
    assert mean == pytest.approx(reference[kid.KEY_METRIC_KID_MEAN], rel=0.1)
    assert deviation == pytest.approx(reference[kid.KEY_METRIC_KID_STD], rel=0.2)


def test_the_kernel_distance_of_sets_of_one_kind_is_nothing_on_average() -> None:
    found = [kernel_distance(points(30, seed=n), points(30, seed=100 + n), subsets=1, size=30)[0] for n in range(60)]
    apart = kernel_distance(points(30), points(30, seed=1, shift=3.0), subsets=1, size=30)[0]
    assert abs(np.mean(found)) < 3 * np.std(found) / 60**0.5
    assert min(found) < 0 < max(found) < apart


def test_the_score_is_that_of_torch_fidelity_and_lies_between_one_and_the_number_of_classes() -> None:
    isc, logits = theirs("metric_isc"), 3 * points(50)
    reference = isc.isc_features_to_metric(logits, splits=1)[isc.KEY_METRIC_ISC_MEAN]
    assert class_score(logits.softmax(1)) == pytest.approx(reference)
    assert class_score(torch.eye(4, dtype=torch.float64)) == pytest.approx(4)
    assert class_score(torch.eye(4, dtype=torch.float64)[[0, 0]]) == pytest.approx(1)
    assert class_score(torch.full((8, 4), 0.25, dtype=torch.float64)) == pytest.approx(1)


def among(one: Tensor, those: Tensor) -> bool:
    """Whether a point lies within the reach of any of those, by the letter of the paper."""
    for centre in those:
        third = sorted((centre - other).norm().item() for other in those)[3]  # itself is the nearest
        if (one - centre).norm() <= third:
            return True
    return False


def test_precision_and_recall_follow_their_definition() -> None:
    reference, samples = points(30), points(24, seed=1, shift=0.8)
    precision, recall = precision_recall(reference, samples)
    assert precision == pytest.approx(np.mean([among(one, reference) for one in samples]))
    assert recall == pytest.approx(np.mean([among(one, samples) for one in reference]))
    assert 0 < precision < 1
    assert 0 < recall < 1


def test_samples_of_one_kind_only_are_precise_and_recall_little_and_noise_is_not_precise() -> None:
    reference = torch.cat([points(50), points(50, seed=1, shift=40.0)])
    precision, recall = precision_recall(reference, points(40, seed=2))
    assert precision > 0.6
    assert recall < 0.5
    far = 30 * torch.randn(40, 6, dtype=torch.float64)
    assert precision_recall(reference, far)[0] < 0.2


# Sets of pictures


def shades(*levels: int) -> PictureSet:
    return PictureSet(torch.tensor(levels, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 8, 8), [])


def colours(count: int, seed: int, most: int = 256) -> PictureSet:
    draw = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, most, (count, 3, 1, 1), generator=draw, dtype=torch.uint8)
    return PictureSet(pixels.expand(-1, 3, 8, 8), [])


def by_colour(name: str = "classifier", reads: bool = True) -> FeatureNetwork:
    """Sees a picture's mean colour, and tells whether it is rather red, green or blue."""

    def extract(image: Tensor) -> tuple[Tensor, Tensor]:
        colour = image.mean((2, 3))
        return colour, (5 * colour).softmax(1)

    return FeatureNetwork(name, extract, reads)


def test_samples_and_held_out_pictures_are_measured_in_sets_of_equal_size() -> None:
    training, held_out = colours(60, seed=1), colours(10, seed=2)
    measured = compared(by_colour(), training, colours(31, seed=3), held_out)
    assert (measured["features"], measured["feature_set"]) == ("classifier", 10)
    names = ["frechet", "kernel", "score", "precision", "recall"]
    assert set(measured) == {"features", "feature_set"} | {
        f"classifier_{name}{end}" for name in names for end in ("", "_floor")
    }
    assert set(measured) <= set(MEANING)
    again = compared(by_colour(), training, held_out, held_out)  # samples as good as held-out pictures
    assert all(again[f"classifier_{name}"] == again[f"classifier_{name}_floor"] for name in names)
    dark = compared(by_colour(), training, colours(31, seed=3, most=120), held_out)
    assert dark["classifier_frechet"] > 2 * dark["classifier_frechet_floor"]
    assert dark["classifier_kernel"][0] > dark["classifier_kernel_floor"][0] + dark["classifier_kernel_floor"][1]
    assert dark["classifier_recall"] < measured["classifier_recall"]


def test_only_numbers_of_inception_have_its_names_and_turns_are_no_score() -> None:
    sets = colours(20, seed=1), colours(9, seed=2), colours(9, seed=3)
    ours = compared(by_colour("turns", reads=False), *sets)
    assert not any(name.startswith(("fid", "kid", "inception")) for name in ours)
    assert {"turns_frechet", "turns_recall_floor"} <= set(ours)
    assert not any("score" in name for name in ours)
    assert all("not Inception" in MEANING[name] for name in ours if name.startswith("turns") and "floor" not in name)
    own = compared(by_colour("inception"), *sets)
    assert {"fid", "fid_floor", "kid", "kid_floor", "inception_score", "inception_precision"} <= set(own)
    assert own["fid"] == pytest.approx(ours["turns_frechet"])
    assert set(ours) | set(own) <= set(MEANING)


def test_few_pictures_are_enough_to_be_measured() -> None:
    fewest = [colours(FEWEST, seed) for seed in range(3)]
    assert all(value is not None for value in compared(by_colour(), *fewest).values())
