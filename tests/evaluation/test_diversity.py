"""How varied samples are: copies, modes left out, and how far apart they lie."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ddpm_core.evaluation.diversity import MEANING, diversity, modes_covered, perceptual_distance, unique_share


def clusters(each: int, seed: int, centres: int = 8) -> Tensor:
    """Features (each * centres, 2) in narrow heaps on a circle."""
    angle = torch.arange(centres).repeat_interleave(each) * (2 * torch.pi / centres)
    draw = torch.Generator().manual_seed(seed)
    places = 10 * torch.stack([angle.cos(), angle.sin()], dim=1).double()
    return places + 0.1 * torch.randn(len(places), 2, generator=draw, dtype=torch.float64)


def test_copies_among_samples_are_not_unique() -> None:
    samples, reference = clusters(5, 0), clusters(40, 1)
    alone = unique_share(samples, reference)
    assert alone > 0.9
    copied = torch.cat([samples[:20], samples[:20]])
    assert unique_share(copied, reference) == 0


@pytest.mark.parametrize(("kept", "share"), [(8, 1.0), (2, 0.25)])
def test_modes_that_no_sample_is_near_are_not_covered(kept: int, share: float) -> None:
    reference, samples = clusters(40, 1), clusters(5, 0)[: 5 * kept]
    assert modes_covered(samples, reference) == share
    assert modes_covered(samples, reference) == modes_covered(samples, reference)


def test_the_perceptual_distance_is_of_directions_and_nothing_of_what_is_alike() -> None:
    right, up = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert perceptual_distance(torch.stack([right, 3 * right])) == pytest.approx(0, abs=1e-6)
    assert perceptual_distance(torch.stack([right, 5 * up])) == pytest.approx(2)


def test_measures_are_means_over_classes_named_for_the_network_beside_those_of_training_pictures() -> None:
    reference = torch.cat([clusters(40, 1), clusters(40, 2)])
    known = torch.arange(2).repeat_interleave(320)
    samples = torch.cat([clusters(1, 0), clusters(8, 0)[:8]])  # the second class is of one mode alone
    labels = torch.arange(2).repeat_interleave(8)
    measured = diversity("classifier", reference, known, samples, labels)
    assert measured["classifier_modes"] == pytest.approx((1 + 1 / 8) / 2)
    assert measured["classifier_modes_floor"] == 1
    assert measured["classifier_perceptual"] < measured["classifier_perceptual_floor"]
    assert set(measured) <= set(MEANING)
    assert diversity("classifier", reference, known, samples[:1], labels[:1]) == {}
