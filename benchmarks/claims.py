"""The claims of `python -m benchmarks`: by name, what measures each."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import denoiser, memory, pipeline, scaling, serpentine, start_up, steps, studio, training_step
from benchmarks.results import Result

CLAIMS: dict[str, Callable[[], list[Result]]] = {
    "denoiser": denoiser.measure,  # first: a heap that others have cut up makes short calls slower
    "serpentine": serpentine.measure,
    "memory": memory.measure,
    "pipeline": pipeline.measure,
    "training-step": training_step.measure,
    "app": studio.app,
    "start-up": start_up.start_up,
    "steps": steps.measure,
    "digits": steps.class_accuracy,
    "scaling": scaling.measure,
}
