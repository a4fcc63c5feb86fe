"""How varied samples of classes are, in the features of a network: few modes and copies show here."""

from __future__ import annotations

import cv2
import torch
from torch import Tensor
from torch.nn import functional as F

from ddpm_core.evaluation.features import NETWORKS

MODES = 8  # of a class: centres that its training pictures are parted by
FEWEST = 2  # samples of a class, of which one can be like another
ITERATIONS, ATTEMPTS = 100, 3

MEASURES = {
    "unique": "share of samples farther from every other than the nearest 1 % of as many training pictures are",
    "modes": f"share of {MODES} modes of a class, centres of its training pictures, that its samples are nearest to",
    "perceptual": "mean distance between samples of a class in normalised features, as LPIPS has it in its network's",
}
FLOOR = "_floor"
MEANING = {
    f"{network}_{measure}{suffix}": f"{meaning}, by {about}" if not suffix else "the same of as many training pictures"
    for network, about in NETWORKS.items()
    for measure, meaning in MEASURES.items()
    for suffix in ("", FLOOR)
}


def unique_share(samples: Tensor, reference: Tensor) -> float:
    """Fraction of samples (N, D) farther from all others than the nearest 1 % of N reference pictures (M, D) are."""
    as_many = _spread(reference, len(samples))
    near = torch.quantile(_to_nearest(as_many), 0.01, interpolation="lower")
    return (_to_nearest(samples) >= near).double().mean().item()


def modes_covered(samples: Tensor, reference: Tensor, modes: int = MODES) -> float:
    """Fraction of the modes of reference pictures (M, D), k-means centres, that some sample (N, D) is nearest to."""
    modes = min(modes, len(reference))
    cv2.setRNGSeed(0)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, ITERATIONS, 1e-4)
    points = reference.float().contiguous().numpy()
    _, _, centres = cv2.kmeans(points, modes, None, stop, ATTEMPTS, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
    nearest = torch.cdist(samples.float(), torch.from_numpy(centres)).argmin(1)  # (N,)
    return len(nearest.unique()) / modes


def perceptual_distance(samples: Tensor) -> float:
    """Mean squared distance of samples (N, D) whose features are normalised (Zhang et al. 2018, eq. 1, one layer)."""
    unit = F.normalize(samples, dim=1)
    return torch.pdist(unit).square().mean().item()


def diversity(
    network: str, reference: Tensor, reference_labels: Tensor, samples: Tensor, labels: Tensor
) -> dict[str, float]:
    """`MEASURES` of samples (N, D) and, as floor, of as many reference pictures (M, D): means over classes, by name.

    Classes of fewer than two samples, or of no more reference pictures than samples, are left out.
    """
    found: dict[str, list[float]] = {}
    for label in labels.unique():
        ours, known = samples[labels == label], reference[reference_labels == label]
        if FEWEST <= len(ours) < len(known):
            for suffix, these in (("", ours), (FLOOR, _spread(known, len(ours)))):
                for name, value in zip(
                    MEASURES, (unique_share(these, known), modes_covered(these, known), perceptual_distance(these)),
                    strict=True,
                ):  # fmt: skip
                    found.setdefault(f"{network}_{name}{suffix}", []).append(value)
    return {name: sum(values) / len(values) for name, values in found.items()}


def _spread(features: Tensor, count: int) -> Tensor:
    """`count` of features (M, D), spread evenly over all."""
    return features[torch.arange(count) * len(features) // count]


def _to_nearest(features: Tensor) -> Tensor:
    """The distance (N,) of each of features (N, D) to the nearest other."""
    return torch.cdist(features, features).fill_diagonal_(torch.inf).amin(1)
