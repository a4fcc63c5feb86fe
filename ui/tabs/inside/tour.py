"""The guided tour: three questions, and the view that answers each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Stop:
    """A stop of the tour.

    Attributes:
        view: name of the view that answers the question.
        sets: values of its controls to begin with.
        text: what to do there, what one sees, and what that means.
    """

    question: str
    view: str
    sets: Mapping[str, Any]
    text: str


TOUR = (
    Stop(
        "Why do far cells need the mixer?",
        "paths",
        {},
        "The network sees a small grid of cells, each of which becomes a patch of the picture; press one. A "
        "convolution passes news on by a cell or two in each layer, so a cell on the left hears little of one on the "
        "right: two eyes would be made by two strangers. The serpentine mixer walks the whole grid along eight paths, "
        "and every cell is somewhere behind every other on one of them: all of them reach the pressed cell in a single "
        "layer. Attention does that, too, but at a cost that grows with the square of the cells; the paths' grows with "
        "their number.",
    ),
    Stop(
        "Why do the kept pixels stay?",
        "clamp",
        {},
        "Walk through the steps of an inpainting. After each, the kept cells are put back to what they were, so "
        "whatever the model did there is undone, and what it paints next has to go with them. That holds the latent. "
        "The pixels stay bit for bit because, at the end, those of the upload are pasted over all that was kept: a "
        "decoded latent alone would be close, never equal (see Your photo). The five pictures on top show it one after "
        "the other: grey is what did not change.",
    ),
    Stop(
        "Why do twenty steps suffice?",
        "points",
        {},
        "Here the predictor is exact, so only the steps are to blame. Training knows a thousand states, and a "
        "tutorial's sampler visits them all, but nothing asks for that: DDIM and DPM-Solver++ move each point "
        "along one smooth way, and of a smooth way a few long steps miss little. With one step every point lands "
        "in the middle of all, the safest guess; at ten the shape can be told, and twenty end close to where two "
        "hundred would: the small shapes show it for 1, 5, 10 and 20, and the chart has the distance. The real "
        "model is no different: in One step or many, tick How many steps are enough, and see its face in 1 to 40 "
        "steps. The shipped faces take 24 by themselves and add fresh noise in most of them, for truer detail; "
        "then every number of steps leads to another face, but two dozen still suffice.",
    ),
)
