"""Requests of visitors that differ in their seeds alone, made in one batch; their pictures stay what they are."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import count
from threading import Lock
from typing import NamedTuple

from gradio.context import LocalContext

from ddpm_core.diffusion.samplers import Step
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import MAX_COUNT, GenerateRequest

MOST_TOGETHER = MAX_COUNT  # pictures in one batch: as many as a single request may ask for


class ModelRequest(NamedTuple):
    """What a request asks for, of which checkpoint."""

    checkpoint: str
    request: GenerateRequest

    @property
    def kind(self) -> Hashable:
        """The same for requests that can be made in one batch."""
        return self.checkpoint, type(self.request), self.request.model_copy(update={"seed": 0, "count": 1})


class Batch:
    """Requests of one `ModelRequest.kind`, made in one batch.

    Whoever comes first to a step computes it; one who leaves does not hold up the others.
    """

    def __init__(self, asked: Sequence[GenerateRequest]):
        self.seeds = [seed for request in asked for seed in request.seeds]
        self._made: list[Step] = []
        self._run: Iterator[Step] | None = None
        self._over, self._failed, self._lock = False, None, Lock()  # type: bool, Exception | None, Lock

    def steps(self, first: int, model: LatentDiffusion, request: GenerateRequest) -> Iterator[Step]:
        """One member's steps: its pictures of each.

        Args:
            first: place of its first seed among all `seeds`.
            model, request: any member's will do.
        """
        mine = slice(first, first + request.count)
        for number in count():
            step = self._step(number, model, request)
            if step is None:
                return
            yield Step(step.t, step.latent[mine], step.denoised[mine])

    def _step(self, number: int, model: LatentDiffusion, request: GenerateRequest) -> Step | None:
        with self._lock:
            if number == len(self._made) and not self._over:
                if self._failed is not None:
                    raise self._failed
                try:
                    self._run = self._run or model.generate(request, self.seeds)
                    step = next(self._run, None)
                except Exception as error:
                    self._failed = error
                    raise
                if step is None:
                    self._over, self._run = True, None
                else:
                    self._made.append(step)
            return self._made[number] if number < len(self._made) else None


def generated(model: LatentDiffusion, request: GenerateRequest) -> Iterator[Step]:
    """The steps of `model.generate`, in a batch with others if the line has gathered one."""
    page, number = LocalContext.blocks.get(None), LocalContext.event_id.get(None)
    event = None if page is None or number is None else page._queue.event_ids_to_events.get(number)
    batch: Batch | None = getattr(event, "batch", None)
    if batch is None or len(batch.seeds) == request.count:
        return model.generate(request)
    return batch.steps(getattr(event, "first", 0), model, request)
