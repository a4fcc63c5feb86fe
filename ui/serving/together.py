"""Requests of visitors that differ in their seeds alone, made in one batch; their pictures stay what they are."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import count
from threading import Lock
from typing import NamedTuple

from gradio.context import LocalContext
from PIL import Image

from ddpm_core.diffusion.samplers import Step
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import MAX_COUNT, GenerateRequest
from ui.components.progress import PreviewBudget

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

    Whoever comes first to a step computes it, and likewise its previews; one who leaves does not hold up the others.

    Attributes:
        seeds: of all pictures in it.
        budget: of previews, which all members show of the same steps.
    """

    def __init__(self, asked: Sequence[GenerateRequest]):
        self.seeds = [seed for request in asked for seed in request.seeds]
        self._made: list[Step] = []
        self._run: Iterator[Step] | None = None
        self._over, self._failed, self._lock = False, None, Lock()  # type: bool, Exception | None, Lock
        self.budget = PreviewBudget()
        self._previews: dict[int, list[Image.Image]] = {}
        self._decoding = Lock()

    def step(self, number: int, model: LatentDiffusion, request: GenerateRequest) -> Step | None:
        """Where all pictures stand after a step, counted from 0; None after the last. Any member's request will do."""
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

    def previews(self, number: int, model: LatentDiffusion) -> list[Image.Image]:
        """What all pictures look like after a step that was taken: decoded once, however many members show it."""
        with self._decoding:
            if number not in self._previews:
                self._previews[number] = model.pictures(self._made[number].denoised)
            return self._previews[number]


class Generation:
    """Pictures of one request as they are made, by themselves or in a batch.

    Attributes:
        budget: of previews.
    """

    def __init__(self, model: LatentDiffusion, request: GenerateRequest, batch: Batch | None = None, first: int = 0):
        """In a `batch`, `first` is the place of the request's first seed among all seeds."""
        self.model, self.request, self.batch = model, request, batch
        self.budget = batch.budget if batch else PreviewBudget()
        self._mine, self._at = slice(first, first + request.count), 0

    def steps(self) -> Iterator[Step]:
        """What `model.generate` yields."""
        if self.batch is None:
            yield from self.model.generate(self.request)
            return
        for self._at in count():
            step = self.batch.step(self._at, self.model, self.request)
            if step is None:
                return
            yield Step(step.t, step.latent[self._mine], step.denoised[self._mine])

    def previews(self, step: Step) -> list[Image.Image]:
        """What the pictures look like in the `step` that was yielded last."""
        if self.batch is None:
            return self.model.pictures(step.denoised)
        return self.batch.previews(self._at, self.model)[self._mine]


def generated(model: LatentDiffusion, request: GenerateRequest) -> Generation:
    """The pictures of a request, in a batch with others if the line has gathered one."""
    page, number = LocalContext.blocks.get(None), LocalContext.event_id.get(None)
    event = None if page is None or number is None else page._queue.event_ids_to_events.get(number)
    batch: Batch | None = getattr(event, "batch", None)
    if batch is None or len(batch.seeds) == request.count:
        return Generation(model, request)
    return Generation(model, request, batch, getattr(event, "first", 0))
