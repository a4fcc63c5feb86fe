"""Which one is real? Of two pictures, one is made; where nobody can tell, half of all answers are right (Zhou et al.
2019, "HYPE").
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from ddpm_core.checkpoints.atomic import UnwritableError
from ddpm_core.data.find import NONE, find
from ddpm_core.errors import UserError
from ddpm_core.images.files import PictureError, Source, open_picture
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import MAX_SEED, GenerateRequest

TRIES = 8  # files that may be unusable, one after the other
SURE = 1.96  # standard errors on either side, for an interval of 95 %


@dataclass(frozen=True)
class Answer:
    """What somebody said of a pair."""

    checkpoint: str  # which made one of the two
    # seed, label: how it was made
    seed: int
    label: str | None
    real: str  # name of the file that the other is
    right: bool  # whether the real one was picked


def real_pictures(folder: Path) -> Sequence[Source]:
    """The pictures of a folder or archive, held-out ones if it has any. Raises `PictureError` if there are none."""
    found = find(folder, NONE, 0).sources
    sources = found["val"] or found["train"]
    if not sources:
        raise PictureError(f"{folder} holds no pictures; name a folder of real ones.")
    return sources


def real_one(model: LatentDiffusion, sources: Sequence[Source], draw: random.Random) -> tuple[Image.Image, str]:
    """A random picture as the model would see it, and its file's name. Raises `PictureError` if several fail."""
    for _ in range(TRIES):
        source = draw.choice(sources)
        try:
            return model.square(open_picture(source)), Path(str(source)).name
        except PictureError as error:
            last = error
    raise last


def made_one(model: LatentDiffusion, draw: random.Random) -> GenerateRequest:
    """The request for the other: a random seed and, of a model with classes, a random one of those."""
    label = draw.choice(model.classes) if model.classes else None
    given: dict[str, Any] = {} if model.unconditional else {"guidance": 1}
    return model.request(GenerateRequest, seed=draw.randrange(MAX_SEED), label=label, **given)


def record(file: Path, answer: Answer) -> None:
    """Add an answer to a file. Raises `UnwritableError` if it takes none."""
    _append(file, json.dumps(asdict(answer)) + "\n")


def check_writable(file: Path) -> None:
    """Before anybody answers. Raises `UserError` for a file that no answer can be added to."""
    try:
        _append(file, "")
    except UnwritableError as error:
        raise UserError(f"{str(error)[:-1]}; name another file for answers.") from None


def _append(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "a", encoding="utf-8") as lines:
            lines.write(text)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnwritableError(f"{file} cannot be written to ({reason}).", reason) from None


def answers_in(file: Path) -> list[dict[str, Any]]:
    """The answers that a file has so far; lines that are none are passed over."""
    found = []
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []:
        try:
            answer = json.loads(line)
        except ValueError:
            continue
        if isinstance(answer, dict) and {"checkpoint", "right"} <= answer.keys():
            found.append(answer)
    return found


def told_apart(answers: Sequence[Mapping[str, Any]], checkpoint: str) -> tuple[int, int, float, float] | None:
    """How many answers about a checkpoint are right, of how many, and the 95 % interval (Wilson 1927) of that."""
    right = [bool(answer["right"]) for answer in answers if answer["checkpoint"] == checkpoint]
    count = len(right)
    if not count:
        return None
    fraction, spread = sum(right) / count, SURE**2 / count
    middle = (fraction + spread / 2) / (1 + spread)
    half = SURE / (1 + spread) * math.sqrt(fraction * (1 - fraction) / count + spread / (4 * count))
    return sum(right), count, middle - half, middle + half
