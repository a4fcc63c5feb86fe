"""What there is to play at: each mode's request, how it runs, captions, where it is valid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from PIL import Image

from ddpm_core.diffusion.illusions import VIEWS, blurred
from ddpm_core.diffusion.samplers import Step
from ddpm_core.images.files import transformed
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import AnagramRequest, BetweenRequest, GenerateRequest, HybridRequest, PairRequest
from ui.components.class_picker import offered_classes
from ui.examples import FIRST_SEED

VIEW_NAMES = {  # what they are called on the page; one that is not here goes by its name in requests
    "upside-down": "upside down", "mirrored": "mirrored", "turned-90": "a quarter turn left",
    "turned-180": "half a turn", "turned-270": "a quarter turn right", "negated": "colours inverted",
}  # fmt: skip

Control = Literal["way", "second", "second_prompt", "turn", "several", "blur"]  # controls that only some modes have


@dataclass(frozen=True)
class PlayMode:
    """One thing to play at.

    Attributes:
        controls: which it has beside those of all.
        count: which control says how many pictures.
        captions: of the pictures, then of what `other` makes of them.
        other: the same picture seen otherwise.
        file_suffix: what the file of that is called.
    """

    name: str
    description: str
    kind: type[GenerateRequest]
    controls: tuple[Control, ...]
    classes: Sequence[str]
    count: str
    begin: Callable[[LatentDiffusion, Any], Iterator[Step]]
    captions: Callable[[Any], list[str]]
    other: Callable[[Any, Image.Image], Image.Image] | None = None
    file_suffix: Callable[[Any], str] = lambda request: ""
    valid: Callable[[LatentDiffusion], bool] = lambda model: True


def positions(request: BetweenRequest) -> list[str]:
    """Where on the way between two seeds each picture lies."""
    between = [f"{fraction:.0%}" for fraction in request.fractions]
    return [f"seed {request.seed}", *between[1:-1], f"seed {request.to}"]


def _anagram_captions(request: AnagramRequest) -> list[str]:
    view = VIEW_NAMES.get(request.view, request.view)
    first, second = _named(request)
    seeds = [f"seed {one.seed}" for one in request.singles()]
    return [f"{first}{seed}" for seed in seeds] + [f"{second}{seed}, {view}" for seed in seeds]


def _hybrid_captions(request: HybridRequest) -> list[str]:
    far, near = _named(request)
    seeds = [f"seed {one.seed}" for one in request.singles()]
    return [f"{near}{seed}, close by" for seed in seeds] + [f"{far}{seed}, from afar" for seed in seeds]


def _named(request: PairRequest) -> tuple[str, str]:
    """What both are to be, before a seed; nothing where no class was asked for."""
    if not request.labels:
        return "", ""
    return f"{request.label or 'any'}, ", f"{request.other or 'any'}, "


def _turned(request: AnagramRequest, picture: Image.Image) -> Image.Image:
    return transformed(picture, VIEWS[request.view].apply)


def _afar(request: HybridRequest, picture: Image.Image) -> Image.Image:
    return transformed(picture, partial(blurred, deviation=request.blur))


FIRST = "between"
# With which a mode opens: what came out well, of faces-128 and, near and far, of digits. Where there are no faces, the
# others open with the first.
SEEDS = {FIRST: FIRST_SEED, "anagram": 6, "hybrid": 10}
HYBRID_CLASSES = ("8", "3")  # from afar and close by
MODES = {
    FIRST: PlayMode(
        "between two seeds", "Two pictures, and those that lie between them.",
        BetweenRequest, ("way",), ("Class",), "strip", LatentDiffusion.between, positions,
    ),
    "anagram": PlayMode(
        "two ways up",
        "One picture that is something both ways. Two share its pixels, so it is rougher than one alone, and some "
        "seeds fail.",
        AnagramRequest, ("second", "second_prompt", "turn", "several"), ("This way", "The other way"), "pairs",
        LatentDiffusion.anagram,
        _anagram_captions, _turned, lambda request: request.view,
    ),
    "hybrid": PlayMode(
        "near and far",
        "One class from afar, another close by: its coarse parts are the one's, its fine parts the other's. Rough, "
        "and some seeds fail.",
        HybridRequest, ("second", "second_prompt", "several", "blur"), ("From afar", "Close by"), "pairs",
        LatentDiffusion.hybrid,
        _hybrid_captions, _afar, lambda request: "from-afar", lambda model: model.hybrids,
    ),
}  # fmt: skip


def playable(key: str | None, model: LatentDiffusion) -> str:
    """The mode, or the first one where a model cannot play it, as when another checkpoint was just chosen."""
    return key if key in MODES and MODES[key].valid(model) else FIRST


def available_modes(model: LatentDiffusion) -> list[tuple[str, str]]:
    """The modes that can be played with a model, as a radio wants them."""
    return [(mode.name, key) for key, mode in MODES.items() if mode.valid(model)]


def available_views(model: LatentDiffusion) -> list[tuple[str, str]]:
    """The views in which a model can make anagrams, as a dropdown wants them."""
    return [(VIEW_NAMES.get(view, view), view) for view in model.views]


def opening_classes(model: LatentDiffusion, key: str, label: str | None, other: str | None) -> tuple[str, str] | None:
    """The two classes with which a mode opens; None where what is chosen stays.

    Near and far are to be two things; of any class both, they would be one plain picture.
    """
    if len(model.classes) < 2:
        return None
    named = set(HYBRID_CLASSES) <= set(model.classes)
    pair = HYBRID_CLASSES if named else (model.classes[0], model.classes[1])
    first = offered_classes(model)[0]["value"]
    begins, ends = (pair, (first, first)) if key == "hybrid" else ((first, first), pair)
    return begins if (label, other) == ends else None
