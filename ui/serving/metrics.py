"""What the app tells whoever runs it: /healthz, /metrics, and a line in the log for each request.

Nothing says who asked, for what, or with which file.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from starlette.responses import JSONResponse, Response

from ddpm_core.diffusion.samplers import Step, last
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest
from ui.serving.turns import in_turns

TIMED = 4  # steps by which it is measured how fast the model is
TIMED_TOGETHER = 4  # pictures of a batch by which it is measured likewise
SECONDS = (0.1, 0.3, 1, 3, 10, 30, 100, 300)  # buckets

log = logging.getLogger("studio.requests")


class Metrics:
    """Counts of one app, in a registry of its own.

    Attributes:
        model: name of the one that has computed once.
        closing: whether the app takes nothing more.
    """

    def __init__(self) -> None:
        self.model: str | None = None
        self.closing = False
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # memory, processor time, open files: on Linux
        PlatformCollector(registry=self.registry)
        self._requests = Counter(
            "studio_requests", "Requests that were worked on, by how they ended.", ["kind", "outcome"],
            registry=self.registry,
        )  # fmt: skip
        self._refusals = Counter(
            "studio_refusals", "Requests that were turned away.", ["reason"], registry=self.registry
        )
        self._seconds = Histogram(
            "studio_request_seconds", "From when a request began to its end.", ["kind"], buckets=SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self._waited = Histogram(
            "studio_waiting_seconds", "From when a request came to when it began.", ["kind"], buckets=SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self._waiting = Gauge("studio_waiting", "Requests in line.", registry=self.registry)
        self._running = Gauge("studio_running", "Requests that are worked on.", registry=self.registry)
        self._visitors = Gauge("studio_visitors", "Visitors who asked for something lately.", registry=self.registry)

    def done(self, kind: str, outcome: str, waited: float, seconds: float, calls: int) -> None:
        """Count a request that ended "done", "failed" or "stopped"."""
        self._requests.labels(kind, outcome).inc()
        self._seconds.labels(kind).observe(seconds)
        self._waited.labels(kind).observe(waited)
        _say(kind=kind, outcome=outcome, waited=round(waited, 3), seconds=round(seconds, 3), calls=calls)

    def refused(self, kind: str, reason: str) -> None:
        """Count a request that was turned away."""
        self._refusals.labels(reason).inc()
        _say(kind=kind, outcome="refused", reason=reason)

    def watch(self, waiting: Callable[[], int], running: Callable[[], int], visitors: Callable[[], int]) -> None:
        """Where the gauges are read."""
        self._waiting.set_function(waiting)
        self._running.set_function(running)
        self._visitors.set_function(visitors)

    def warmed_up(
        self,
        model: LatentDiffusion,
        clock: Callable[[], float] = time.monotonic,
        compiled: Callable[[], object] = lambda: None,
    ) -> tuple[float, float]:
        """Compute once, which packs weights and loads kernels; seconds per call of the model, alone and in a batch.

        Waiting for `compiled` kernels belongs to its turn: else who presses meanwhile would compile them again.
        """
        label = None if model.unconditional else model.classes[0]
        steps = model.generate(GenerateRequest(steps=1, label=label, guidance=1))
        model.pictures(last(in_turns(_after(compiled, steps))).latent)
        self.model = model.name

        def per_call(pictures: int) -> float:
            request = GenerateRequest(steps=TIMED, sampler="ddim", label=label, guidance=1, count=pictures)
            ends = [clock() for _ in in_turns(model.generate(request))]
            return (ends[-1] - ends[0]) / (TIMED - 1) * TIMED / request.model_calls

        return per_call(1), per_call(TIMED_TOGETHER)

    def attach(self, app: FastAPI) -> None:
        """Answer /healthz and /metrics, before whatever else the app answers."""

        def healthz() -> Response:
            status = "closing" if self.closing else "loading" if self.model is None else "ok"
            waiting = int(self.registry.get_sample_value("studio_waiting") or 0)
            answer = {"status": status, "model": self.model, "waiting": waiting}
            return JSONResponse(answer, 200 if status == "ok" else 503)

        def metrics() -> Response:
            return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)

        for path, answer in (("/healthz", healthz), ("/metrics", metrics)):
            app.add_api_route(path, answer, include_in_schema=False)
            app.router.routes.insert(0, app.router.routes.pop())


def _after(wait: Callable[[], object], steps: Iterable[Step]) -> Iterator[Step]:
    """Steps, and before the first one something to wait for."""
    wait()
    yield from steps


def _say(**what: Any) -> None:
    log.info(json.dumps({"at": datetime.now(UTC).isoformat(timespec="milliseconds"), **what}))


def log_to_stderr() -> None:
    """Have each request's line written to standard error, as it is."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
