"""Captions as a denoiser learns from them: shortened, in another order, or dropped, so that prompts may be brief."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

import torch
from torch import Tensor

PARTED = re.compile(r"\s*[,:;]\s*")
WHOLE = 0.5  # fraction of captions that keep all their parts, and of those in their order


def drawn_captions(captions: Sequence[str], dropout: float, without_class: Tensor | None = None) -> list[str]:
    """Captions changed at random, by torch's generator: each `varied`, and a fraction `dropout` of them empty.

    Half of those `without_class`, bool (B,), are empty, too.
    """
    dropped = torch.rand(len(captions)) < dropout  # (B,)
    if without_class is not None:  # so that the network learns to do without both
        dropped |= without_class.cpu() & (torch.rand(len(captions)) < 0.5)
    draw = random.Random(int(torch.randint(2**62, ())))
    return ["" if gone else varied(one, draw) for one, gone in zip(captions, dropped.tolist(), strict=True)]


def varied(caption: str, draw: random.Random) -> str:
    """Some parts of a caption, at least one, of half of all captions; of half, in another order."""
    parts = [part for part in PARTED.split(caption) if part]
    order = list(range(len(parts)))
    if draw.random() >= WHOLE:
        order = sorted(draw.sample(order, draw.randint(min(1, len(parts)), len(parts))))
    if draw.random() >= WHOLE:
        draw.shuffle(order)
    return ", ".join(parts[number] for number in order)
