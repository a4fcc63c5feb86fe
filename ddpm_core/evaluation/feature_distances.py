"""How sets of pictures differ in a network's features."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ddpm_core.data.load import PictureSet
from ddpm_core.evaluation.distances import groups
from ddpm_core.evaluation.features import NETWORKS, FeatureNetwork, FeatureSet, extract_features

REFERENCE = 10_000  # training pictures to compare with, at most
SUBSETS, SUBSET = 100, 1000
NEIGHBOUR = 3
FEWEST = 2 * (NEIGHBOUR + 1)  # pictures that there is anything to say about: half of them still have such neighbours

MEASURES = {
    "frechet": "Fréchet distance of samples to training pictures",
    "kernel": "kernel distance (MMD²) of samples to training pictures: mean, deviation over subsets",
    "score": "how surely each sample is read, and how differently all are",
    "precision": "share of samples among training pictures",
    "recall": "share of training pictures among samples",
}
OF_INCEPTION = {"frechet": "fid", "kernel": "kid"}  # names that these have in its features and nowhere else
FLOOR = "_floor"


def named(network: str, measure: str) -> str:
    """What one of `MEASURES` in the features of a network is called."""
    own = OF_INCEPTION.get(measure) if network == "inception" else None
    return own or f"{network}_{measure}"


MEANING = {  # of the numbers that `compared` returns
    "features": f"network that pictures are compared by: {', '.join(NETWORKS)}",
    "feature_set": "pictures in each set compared by it; mind it when comparing numbers",
    **{
        named(network, measure) + suffix: f"{meaning}, by {about}" if not suffix else "the same of held-out pictures"
        for network, about in NETWORKS.items()
        for measure, meaning in MEASURES.items()
        for suffix in ("", FLOOR)
    },
}


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Squared Fréchet distance of the Gaussians with the moments of features a (N, D) and b (M, D).

    FID, if they are Inception's (Heusel et al. 2017, eq. 6). Compare equally large sets only.
    """
    apart = (a.mean(0) - b.mean(0)).square().sum()
    first, second = a.T.cov(), b.T.cov()  # (D, D) each
    # The trace of the root of a product is that of a symmetric matrix with the same eigenvalues, which has real ones.
    values, vectors = torch.linalg.eigh(first)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    root_trace = torch.linalg.eigvalsh(root @ second @ root).clamp_min(0).sqrt().sum()
    return (apart + first.trace() + second.trace() - 2 * root_trace).item()


def kernel_distance(
    a: Tensor, b: Tensor, subsets: int = SUBSETS, size: int = SUBSET, seed: int = 0
) -> tuple[float, float]:
    """Mean and deviation, over random subsets, of the squared maximum mean discrepancy of a (N, D) and b (M, D).

    Unbiased, so perhaps below 0 (Bińkowski et al. 2018, section 4); KID, if they are Inception's. `size` is 2 to the
    smaller of N and M.
    """
    generator = torch.Generator().manual_seed(seed)

    def drawn(features: Tensor) -> Tensor:
        return features[torch.randperm(len(features), generator=generator)[:size]]

    found = torch.tensor([_discrepancy(drawn(a), drawn(b)) for _ in range(subsets)], dtype=torch.float64)
    return found.mean().item(), found.std(correction=0).item()


def _discrepancy(a: Tensor, b: Tensor) -> float:
    """Unbiased estimate of the squared maximum mean discrepancy of equally many features."""

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T / x.shape[1] + 1) ** 3  # (N, N)

    count = len(a)
    alike = sum((own.sum() - own.trace()) / (count * (count - 1)) for own in (kernel(a, a), kernel(b, b)))
    return float(alike - 2 * kernel(a, b).mean())


def class_score(probabilities: Tensor) -> float:
    """How surely each picture is read and how diversely all are, 1 to K, from probabilities (N, K).

    Inception Score, if they are Inception's (Salimans et al. 2016, section 4). More pictures score higher.
    """
    p = probabilities.clamp_min(1e-12)
    return (p * (p / p.mean(0)).log()).sum(1).mean().exp().item()


def precision_recall(reference: Tensor, samples: Tensor, neighbour: int = NEIGHBOUR) -> tuple[float, float]:
    """Fraction of samples (N, D) among the reference (M, D), and of the reference among samples.

    Among a set is what lies within a member's distance to its third nearest neighbour (Kynkäänniemi et al. 2019, eqs.
    1, 2).
    """
    return _fraction_among(samples, reference, neighbour), _fraction_among(reference, samples, neighbour)


def _fraction_among(points: Tensor, those: Tensor, neighbour: int) -> float:
    reach = torch.cat([torch.cdist(some, those).kthvalue(neighbour + 1).values for some in those.split(1024)])
    # reach (M,); inside (N,)
    inside = [(torch.cdist(some, those) <= reach).any(1) for some in points.split(1024)]
    return torch.cat(inside).double().mean().item()


def compared(
    network: FeatureNetwork, training: PictureSet, samples: PictureSet, held_out: PictureSet
) -> dict[str, Any]:
    """`MEASURES` of samples and, as floor, of held-out pictures beside at most 10,000 training pictures, by name.

    Means over sets as large as the smaller of the two, at least 8.
    """
    size = min(len(samples), len(held_out))
    reference = extract_features(network, PictureSet(training.pixels[:: -(-len(training) // REFERENCE)], []))
    ours, floor = (
        [beside(reference, extract_features(network, group)) for group in groups(pictures, size)]
        for pictures in (samples, held_out)
    )
    measures: dict[str, Any] = {"features": network.name, "feature_set": size}
    for measure in MEASURES:
        if measure != "score" or network.reads:
            for suffix, sets in (("", ours), (FLOOR, floor)):
                values = torch.tensor([each[measure] for each in sets], dtype=torch.float64)
                measures[named(network.name, measure) + suffix] = values.mean(0).tolist()
    return measures


def beside(reference: FeatureSet, pictures: FeatureSet) -> dict[str, Any]:
    """All of `MEASURES` of pictures beside a reference, at least 8 of each."""
    subset = min(SUBSET, len(pictures) // 2, len(reference) // 2)
    precision, recall = precision_recall(reference.features, pictures.features)
    return {
        "frechet": frechet_distance(reference.features, pictures.features),
        "kernel": list(kernel_distance(reference.features, pictures.features, size=subset)),
        "score": class_score(pictures.probabilities),
        "precision": precision,
        "recall": recall,
    }
