"""A denoiser's weights made to fit other classes, words and conditions than it learned with."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from ddpm_core.networks.text import SPECIAL
from ddpm_core.networks.unet import Denoiser

LABEL, TIME_BIAS = "label.weight", "time.2.bias"
TEXT, EMBEDDING = re.compile(r"(^|\.)(text|cross_attention)\."), "text.embedding.weight"


def fit_classes(weights: dict[str, Tensor], before: tuple[str, ...], now: tuple[str, ...], unet: Denoiser) -> list[str]:
    """Turn the class embedding in `weights` into one of the classes there are now; says what became of them."""
    embedding = weights.pop(LABEL, None)
    none = torch.zeros_like(weights[TIME_BIAS]) if embedding is None else embedding[-1]  # (time width,)
    if not unet.classes:
        weights[TIME_BIAS] = weights[TIME_BIAS] + none  # it was added to what this is the bias of
        return [] if embedding is None else ["There are no classes any more; what it makes of none is taken over."]
    rows = {} if embedding is None else dict(zip(before, embedding, strict=False))
    weights[LABEL] = torch.stack([rows.get(name, none) for name in now] + [none])  # (classes + 1, time width)
    if not rows.keys() & set(now):
        return ["The classes are new, so their embedding starts anew, from what it makes of no class."]
    return _changes("classes", before, now)


def fit_words(weights: dict[str, Tensor], before: Sequence[str], now: Sequence[str], unet: Denoiser) -> list[str]:
    """Turn what reads captions in `weights` into what reads the words there are now; says what became of them."""
    own = {name: tensor.cpu() for name, tensor in unet.state_dict().items() if TEXT.search(name)}
    if not before or not now:
        for name in [name for name in weights if TEXT.search(name)]:
            del weights[name]
        weights |= own
        if now:
            return ["It knew no words, so what reads captions starts anew."]
        return ["There are no captions any more, and what read them is left out."] if before else []
    rows = dict(zip((*SPECIAL, *before), weights[EMBEDDING], strict=True))
    fresh = dict(zip((*SPECIAL, *now), own[EMBEDDING], strict=True))
    weights[EMBEDDING] = torch.stack([rows.get(word, row) for word, row in fresh.items()])  # (2 + words, text width)
    return _changes("words", before, now)


def _changes(what: str, before: Sequence[str], now: Sequence[str]) -> list[str]:
    notes = []
    if new := [name for name in now if name not in before]:
        notes.append(f"New {what}, whose embedding starts anew: {', '.join(new)[:200]}.")
    if gone := [name for name in before if name not in now]:
        notes.append(f"{what.capitalize()} it knew and that are no more: {', '.join(gone)[:200]}.")
    return notes


def fit_condition(weights: dict[str, Tensor], before: int, now: int, unet: Denoiser) -> list[str]:
    """Give `weights` as many conditioning channels as there are now; says what became of them.

    New ones weigh nothing: a network begins by passing them over, and is as good as it was.
    """
    name, kernel = "input.weight", weights["input.weight"]  # (channels, C + K, 3, 3), or of a DiT (.., p²(C + K), 1, 1)
    own, missing = kernel[:, : unet.latent_channels * unet.patch**2], unet.conditioning_channels * unet.patch**2
    if before == 1 or now == 1:
        weights[name] = torch.cat([own, own.new_zeros(len(own), missing, *own.shape[2:])], dim=1)
    if before == now:
        return []
    if now == 1:
        return ["It enlarges no more, and what it was shown for that is left out."]
    if before == 1:
        return ["What it is shown to enlarge is new to it, and counts for nothing at first."]
    return [f"It enlarges {before} times so far and has to learn {now} times."]
