"""Held-out pictures inpainted: whether what is kept stays, and how well what is new fits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from ddpm_core.diffusion.samplers import last
from ddpm_core.display.progress_bar import watched
from ddpm_core.evaluation import metrics
from ddpm_core.images.files import PictureError, Source, as_rgb, open_picture
from ddpm_core.images.masks import dilate, face_mask
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import InpaintRequest
from ddpm_core.training.masks import random_masks


def some_pictures(paths: Sequence[Source], count: int) -> list[Image.Image]:
    """At most `count` pictures, spread evenly over the files. Raises `PictureError` if none can be read."""
    pictures = []
    for place in np.linspace(0, len(paths) - 1, min(count, len(paths))).round().astype(int):
        try:
            pictures.append(open_picture(paths[place]))
        except PictureError as error:
            unreadable = error
    if not pictures:
        raise unreadable
    return pictures


def measure_fills(
    model: LatentDiffusion,
    pictures: Sequence[Image.Image],
    request: InpaintRequest | None = None,
    region: str | None = None,
) -> dict[str, float]:
    """Inpaint pictures, whole, from two seeds each, as the app does by default or as `request` says.

    Masks are random, or that of a `region` (`FACE_PARTS`). Kept pixels are compared at the picture's own size, all
    else at the model's.
    """
    # Feathering would hide the seam, and how faces are found is not the model's doing.
    request = (request or model.request(InpaintRequest)).model_copy(update={"count": 2, "feather": 0, "crop": "whole"})
    worst = 0
    seams: dict[str, list[np.ndarray]] = {"inpainted": [], "untouched": []}
    names = ("edge_distance", "tone_off", "fill_distance", "fill_diversity")
    differences: dict[str, list[float]] = {name: [] for name in names}
    for number, picture in enumerate(watched(pictures, "inpainting", "picture")):
        painted = face_mask(region, picture) if region else _random_mask(picture, request.seed + number)
        one = request.model_copy(update={"seed": request.seed + 2 * number})
        frame = model.frame(one, picture, painted)
        fills = model.pictures(last(model.inpaint(one, frame.image(), frame.mask())).latent)
        for fill in fills:
            change = np.abs(np.asarray(frame.paste(fill), dtype=int) - np.asarray(picture, dtype=int))
            worst = max(worst, int(change[~painted].max(initial=0)))

        small = frame.reduced(model.size)
        original = np.asarray(as_rgb(small.picture), dtype=int)
        first, second = (np.asarray(as_rgb(small.paste(fill)), dtype=int) for fill in fills)
        at_edge = small.painted & dilate(~small.painted, model.codec.stride)
        for result in (first, second):
            seams["inpainted"].append(metrics.edge_steps(result, small.painted))
            seams["untouched"].append(metrics.edge_steps(original, small.painted))
            change = np.abs(result - original)
            differences["edge_distance"].append(change[at_edge].mean())
            differences["fill_distance"].append(change[small.painted].mean())
            tones = [pixels[small.painted].mean(0) for pixels in (result, original)]  # (3,) each
            differences["tone_off"].append(np.abs(tones[0] - tones[1]).mean())
        differences["fill_diversity"].append(np.abs(first - second)[small.painted].mean())
    inpainted, untouched = (np.concatenate(found).mean() for found in seams.values())
    return {
        "fills": len(pictures),
        "kept_max_diff": worst,
        "seam_ratio": float(inpainted / max(untouched, 1e-9)),  # a folder of blank pictures has no steps at all
        **{name: float(np.mean(values)) for name, values in differences.items()},
    }


def _random_mask(picture: Image.Image, seed: int) -> np.ndarray:
    """Bool (H, W)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return random_masks(1, picture.height, picture.width)[0, 0].numpy()
