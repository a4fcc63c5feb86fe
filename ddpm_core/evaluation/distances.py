"""Distances between sets of pictures: how far samples are from the training data, and whether they copy it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ddpm_core.data.load import PictureSet
from ddpm_core.display.progress_bar import watched
from ddpm_core.errors import UserError

COARSEST = 16  # pixels; the pyramid goes no lower
PATCH, PATCHES = 7, 128  # side of a patch in pixels, and how many are taken of each picture
MOST_PATCHES = 2**19  # of a whole set: from 4,096 pictures on, each gives fewer
REPEATS, DIRECTIONS = 4, 128
DRAWS = 4  # of patches: from one to the next, the floor of a hundred pictures moves by a tenth
THUMBNAIL = 32


def pyramid_sizes(size: int) -> list[int]:
    """Sides of the Laplacian pyramid's levels in pixels, finest first: 128, 64, 32, 16."""
    sizes = [size]
    while sizes[-1] % 2 == 0 and sizes[-1] // 2 >= COARSEST:
        sizes.append(sizes[-1] // 2)
    return sizes


def band_and_coarser(image: Tensor) -> tuple[Tensor, Tensor]:
    """An image (B, 3, S, S) as a band (B, 3, S, S) and what it adds to, (B, 3, S/2, S/2), once that is enlarged.

    A step of a Laplacian pyramid (Burt & Adelson 1983).
    """
    coarser = _binomial(image)[:, :, ::2, ::2].contiguous()  # (B, 3, S/2, S/2)
    spread = image.new_zeros(image.shape)
    spread[:, :, ::2, ::2] = coarser
    return image - 4 * _binomial(spread), coarser


def _binomial(image: Tensor) -> Tensor:
    """Blurred by the 5x5 binomial kernel, borders mirrored."""
    # Sums of shifted images take a fraction of a grouped convolution's time on CPU.
    a, b, c, d, e = _shifted(F.pad(image, (0, 0, 2, 2), mode="reflect"), 2)
    rows = (a + e) + 4 * (b + d) + 6 * c  # (B, 3, S, S)
    a, b, c, d, e = _shifted(F.pad(rows, (2, 2, 0, 0), mode="reflect"), 3)
    return ((a + e) + 4 * (b + d) + 6 * c) / 256


def _shifted(padded: Tensor, axis: int) -> list[Tensor]:
    return [padded.narrow(axis, start, padded.shape[axis] - 4) for start in range(5)]


def descriptors(pictures: PictureSet, seed: int = 0) -> Iterator[Tensor]:
    """Random 7x7 patches of each pyramid level in turn, finest first, 128 of each picture: (patches, 147)."""
    each = min(PATCHES, max(1, MOST_PATCHES // len(pictures)))
    along, channel = torch.arange(PATCH), torch.arange(3).view(3, 1, 1)
    images: Iterable[Tensor] = pictures.batches(64)
    sizes = pyramid_sizes(pictures.pixels.shape[2])
    for size in sizes:
        generator = torch.Generator().manual_seed(seed)
        patches, coarser = [], []
        for image in images:
            band = image
            if size != sizes[-1]:
                band, rest = band_and_coarser(image)
                coarser.append(rest)
            corners = torch.randint(size - PATCH + 1, (2, len(image), each, 1, 1, 1), generator=generator)
            number = torch.arange(len(image)).view(-1, 1, 1, 1, 1)
            patches.append(band[number, channel, corners[0] + along.view(-1, 1), corners[1] + along].flatten(0, 1))
        images = coarser
        found = torch.cat(patches)  # (patches, 3, 7, 7)
        # By channel over the set, as in the paper: a tint that all have goes unseen.
        deviation, mean = torch.std_mean(found, dim=(0, 2, 3), keepdim=True, correction=0)
        yield ((found - mean) / deviation.clamp_min(1e-8)).flatten(1)


def sliced_wasserstein(reference: PictureSet, sets: Sequence[PictureSet], seed: int = 0) -> Tensor:
    """Distance of each set to the reference at each pyramid level, (sets, levels), finest first, in thousandths.

    Over 4 x 128 random directions (Karras et al. 2018, "Progressive Growing of GANs", section 5). Smaller sets lie
    farther from anything: compare equally large ones. Raises `UserError` if pictures are smaller than a patch.
    """
    size = reference.pixels.shape[2]
    if size < PATCH:
        raise UserError(f"pictures of {size} pixels are smaller than the {PATCH}-pixel patches that are compared.")
    generator = torch.Generator().manual_seed(seed)
    every = [descriptors(pictures, seed + number) for number, pictures in enumerate([reference, *sets])]
    distances = torch.zeros(len(sets), len(pyramid_sizes(size)), dtype=torch.float64)
    for level, (known, *others) in enumerate(zip(*every, strict=True)):
        for _ in range(REPEATS):
            directions = F.normalize(torch.randn(DIRECTIONS, known.shape[1], generator=generator))  # (128, 147)
            sorted_reference = _sorted_projections(known, directions)
            for number, other in enumerate(others):
                distance = _wasserstein(_sorted_projections(other, directions), sorted_reference)
                distances[number, level] += 1000 * distance / REPEATS
    return distances


def _sorted_projections(points: Tensor, directions: Tensor) -> np.ndarray:
    return np.sort((directions @ points.T).numpy(), axis=1)  # ten times faster than torch.sort on CPU


def _wasserstein(a: np.ndarray, b: np.ndarray) -> float:
    """Mean over directions of the Wasserstein-1 distance between sorted rows, (directions, N) and (directions, M)."""
    count = max(a.shape[1], b.shape[1])
    places = np.arange(count)
    # The smaller set is read at the quantiles of the larger, exactly if one size divides the other.
    a, b = (values if values.shape[1] == count else values[:, places * values.shape[1] // count] for values in (a, b))
    return float(np.abs(a - b).mean(dtype=np.float64))


def groups(pictures: PictureSet, size: int) -> list[PictureSet]:
    """As many disjoint sets of `size` as there are, each spread over all of `pictures`."""
    count = len(pictures) // size
    return [PictureSet(pictures.pixels[first::count][:size], []) for first in range(count)]


def distances_to_training(
    training: PictureSet, samples: PictureSet, held_out: PictureSet, seed: int = 0
) -> tuple[list[float], list[float]]:
    """Sliced Wasserstein distances to training pictures by level, of samples and, as their floor, of held-out pictures.

    Means over four draws and over groups as large as the smaller set.
    """
    size = min(len(samples), len(held_out))
    sets = [groups(samples, size), groups(held_out, size)]
    draws = [
        sliced_wasserstein(training, [*sets[0], *sets[1]], seed + draw)
        for draw in watched(range(DRAWS), "comparing patches", "draw")
    ]
    ours, floor = torch.stack(draws).mean(0).split([len(each) for each in sets])
    return ours.mean(0).tolist(), floor.mean(0).tolist()


def nearest_distances(pictures: PictureSet, training: PictureSet) -> Tensor:
    """Root mean square difference, of 255, of each picture (N,) to the nearest training picture or its mirror image.

    At 32 pixels at most: in finer texture a copy differs as well.
    """
    known = _thumbnails(training)
    both = torch.cat([known, known.flip(3)]).flatten(1)  # (2M, 3*side²)
    thumbnails = _thumbnails(pictures).flatten(1)
    some = watched(thumbnails.split(256), "looking for the nearest", "batch")
    nearest = torch.cat([torch.cdist(each, both).amin(1) for each in some])
    return nearest / both.shape[1] ** 0.5


def _thumbnails(pictures: PictureSet) -> Tensor:
    side = min(THUMBNAIL, pictures.pixels.shape[2])
    return torch.cat([F.adaptive_avg_pool2d((image + 1) * 127.5, side) for image in pictures.batches(64)])


def memorised(samples: PictureSet, held_out: PictureSet, training: PictureSet) -> dict[str, float]:
    """Medians of `nearest_distances`, and whether samples copy training pictures.

    "memorised_share" is of those nearer than the nearest hundredth of held-out pictures: 0.01 if nothing is copied.
    """
    both = PictureSet(torch.cat([samples.pixels, held_out.pixels]), [])
    ours, floor = nearest_distances(both, training).split([len(samples), len(held_out)])
    return {
        "nearest_distance": ours.quantile(0.5).item(),
        "nearest_distance_floor": floor.quantile(0.5).item(),
        # Rounded up to a whole picture, the third of 133: near copies across the split hide copies among samples,
        # and in the shipped faces the first two lie well below the rest.
        "memorised_share": (ours < torch.quantile(floor, 0.01, interpolation="higher")).double().mean().item(),
    }
