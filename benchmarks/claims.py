"""The claims of `python -m benchmarks`: by name, what measures each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import denoiser, memory, pipeline, scaling, serpentine, steps, studio, training_step
from benchmarks.results import Result

Claim = Callable[[], list[Result]]

CLAIMS: dict[str, Claim] = {
    "denoiser": denoiser.measure,  # first: a heap that others have cut up makes short calls slower
    "serpentine": serpentine.measure,
    "memory": memory.measure,
    "pipeline": pipeline.measure,
    "training-step": training_step.measure,
    "app": studio.app,
    "start-up": studio.start_up,
    "steps": steps.measure,
    "scaling": scaling.measure,
}


def with_pictures(faces: Path | None, digits: Path | None) -> dict[str, Claim]:
    """The claims that training pictures are needed for, or that can be judged better with them.

    Args:
        faces: what `faces-128` was trained on; None leaves "steps" as it is.
        digits: what `digits` was trained on; None leaves "digits" out.
    """
    claims: dict[str, Claim] = {}
    if faces:
        claims["steps"] = partial(steps.measure, data=faces, pictures=steps.BESIDE_DATA)
    if digits:
        claims["digits"] = partial(steps.read_as_asked, digits)
    return claims
