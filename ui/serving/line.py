"""The line in front of the model: who is next, who has to come back later, and how long it takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, NoReturn

import gradio as gr
from fastapi import HTTPException
from gradio import route_utils
from gradio.blocks import Blocks
from gradio.queueing import Event, Queue
from gradio.server_messages import EstimationMessage, ProcessCompletedMessage

from ui import site
from ui.components.events import ONE_AT_A_TIME
from ui.serving.events import (
    PAGE,
    address_of,
    batch_factor,
    batch_of,
    calls_in,
    calls_of,
    handler_of,
    kind_of,
    model_request_in,
    model_request_of,
    only_newest,
    shown_if_refused,
    tag_of,
)
from ui.serving.metrics import Metrics
from ui.serving.settings import ServingSettings
from ui.serving.together import MOST_TOGETHER, Batch
from ui.serving.waiting import Pace, Work, until_ready

MODEL = ONE_AT_A_TIME["concurrency_id"]
SHORT = 200  # calls of the model, a picture each: 8 pictures in 20 steps and some more
LANES = 2  # a long request and a short one beside it
OF_A_PAGE = 24  # of these at a time; they are quick, and there are several at once
STAYS = 300.0  # seconds that a visitor counts as one after a request
COME_BACK = 10  # seconds after which one who was refused may try again
NOTHING: Mapping[Any, Any] = MappingProxyType({})
OUTCOMES = {"success": "done", "cancelled": "stopped"}  # by what Gradio says

CLOSING = "The studio is closing for a moment; what is on your page stays. Try again soon."
FULL = "The studio is busy: as many as may wait are waiting, {count}. Try again in a minute."
QUOTA = "You have {count} requests waiting or running, which is as many as one visitor may have; wait for one of them."
VISITORS = "The studio is full: {count} visitors are being served. Try again in a few minutes."


class Line(Queue):
    """Gradio's queue with quotas, lanes and honest times.

    Requests wait in the order of their start tags (start-time fair queueing, Goyal, Vin and Cheng 1996): a visitor's
    next one starts where the last one ends, in calls of the model. Virtual time goes on by calls over visitors who ask
    (Demers, Keshav and Shenker 1989), so that newcomers do not overtake for ever.
    """

    def __init__(
        self,
        page: Blocks,
        settings: ServingSettings,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ):
        super().__init__(True, page.max_threads, 1, None, page)  # what is too much is refused here, in a sentence
        self.settings, self.metrics, self.clock = settings, metrics, clock
        self.running: dict[Event, float] = {}  # since when
        self.last_asked: dict[str, float] = {}  # when, by visitor
        self.finish: dict[str, float] = {}  # tags: where each visitor's requests that were begun end
        self.now = 0.0  # where a request starts whose visitor has had nothing lately
        self.pace = Pace()
        self.together = MOST_TOGETHER  # pictures that are made in one batch at most
        metrics.watch(lambda: len(self), lambda: len(self.running), lambda: len(self.visitors()))

    @property
    def idle(self) -> bool:
        """Whether nothing waits or runs."""
        return not self.running and not len(self)

    def set_server_app(self, app: Any) -> None:
        """Also answer /healthz, /metrics and the documentation on this server."""
        super().set_server_app(app)
        self.metrics.attach(app)
        site.attach(app)

    def close_to_new(self) -> None:
        """Refuse whatever is asked from now on; what is in line is still made."""
        self.metrics.closing = True

    def visitors(self) -> set[str]:
        """Sessions that asked for something lately, or have something in line."""
        since = self.clock() - STAYS
        self.last_asked = {session: at for session, at in self.last_asked.items() if at > since}
        return set(self.last_asked) | {event.session_hash for event in self._held()}

    def _held(self) -> list[Event]:
        waiting = self.event_queue_per_concurrency_id.get(MODEL)
        return [*self.running, *(waiting.queue if waiting else ())]

    async def push(self, body: Any, request: Any, username: str | None) -> Any:
        """Take a request into the line.

        Raises:
            HTTPException: 503, with the reason as a sentence.
        """
        if body.fn_index is None:
            return await super().push(body, request, username)
        fn = route_utils.get_fn(self.blocks, None, body)
        refusal = self._refusal(fn, body.session_hash or "", address_of(request))
        if refusal and not only_newest(fn):
            self._refuse(fn, *refusal)
        answer = await super().push(body, request, username)
        event = self.event_ids_to_events.get(str(answer[1])) if answer[0] and fn.concurrency_id == MODEL else None
        if event is None:
            return answer
        if refusal:  # of what the page asked for by itself, a draft say: no notice, and nothing is lost
            self.metrics.refused(kind_of(fn), refusal[0])
            self._leave_unchanged(event, shown_if_refused(event, refusal[1]))
            return answer
        self.last_asked[event.session_hash] = self.clock()
        if only_newest(fn):
            line = self.event_queue_per_concurrency_id[MODEL].queue
            for older in [one for one in line if (one.session_hash, one.fn) == (event.session_hash, fn)]:
                if older is not event:
                    self._leave_unchanged(older)
        self._line_up(event)
        return answer

    def _refusal(self, fn: Any, session: str, address: str | None) -> tuple[str, str] | None:
        """Why a request is not taken, in a word and in a sentence; None if it is."""
        if self.metrics.closing:
            return "closing", CLOSING
        if len(self) >= self.settings.max_waiting:
            return "full", FULL.format(count=len(self))
        if fn.concurrency_id != MODEL:
            return None
        held = self._held()
        if not only_newest(fn):  # of which one waits and one runs at most
            most = self.settings.per_visitor if kind_of(fn) != PAGE else OF_A_PAGE
            mine = [event for event in held if (kind_of(event.fn) == PAGE) == (kind_of(fn) == PAGE)]
            if sum(event.session_hash == session and not only_newest(event.fn) for event in mine) >= most:
                return "share", QUOTA.format(count=most)
        if address and sum(address_of(event.request) == address for event in held) >= self.settings.per_address:
            return "share", QUOTA.format(count=self.settings.per_address)
        if session not in (visitors := self.visitors()) and len(visitors) >= self.settings.max_visitors:
            return "visitors", VISITORS.format(count=self.settings.max_visitors)
        return None

    def _leave_unchanged(self, event: Event, but: Mapping[Any, Any] = NOTHING) -> None:
        """Answer a waiting request at once: all stays as it is, `but` for these components."""
        self.event_queue_per_concurrency_id[MODEL].queue.remove(event)
        self.event_ids_to_events.pop(event._id, None)
        data = [None if isinstance(out, gr.State) else but.get(out, gr.skip()) for out in event.fn.outputs]
        self.send_message(event, ProcessCompletedMessage(output={"data": data, "is_generating": False}, success=True))

    def _refuse(self, fn: Any, reason: str, sentence: str) -> NoReturn:
        self.metrics.refused(kind_of(fn), reason)
        raise HTTPException(503, sentence, {"Retry-After": str(COME_BACK)})

    def _line_up(self, event: Event) -> None:
        line, session = self.event_queue_per_concurrency_id[MODEL].queue, event.session_hash
        states = getattr(self.server_app, "state_holder", None)
        event.calls, event.model_request = calls_of(event, states), model_request_of(event)  # type: ignore[attr-defined]
        ahead = (tag_of(one) + calls_in(one) for one in line if one.session_hash == session and one is not event)
        event.tag = max(self.now, self.finish.get(session, 0.0), *ahead)  # type: ignore[attr-defined]
        line.sort(key=tag_of)
        self.broadcast_estimations(MODEL)

    def get_events(self) -> tuple[list[Event], bool, str] | None:
        """The next to begin: of a batch under way, the first in line, or beside a long one a short one."""
        line = self.event_queue_per_concurrency_id.get(MODEL)
        found: tuple[list[Event], bool, str] | None = None
        if line is not None and (member := next(filter(batch_of, line.queue), None)) is not None:
            line.queue.remove(member)
            found = [member], False, MODEL
        else:
            found = super().get_events()
            if found is not None and found[2] == MODEL and line is not None:
                self._gather(found[0][0], line.queue)
        if found is None and line is not None and self._has_a_lane(line.current_concurrency):
            short = next((event for event in line.queue if calls_in(event) <= SHORT), None)
            if short is not None:
                line.queue.remove(short)
                found = [short], False, MODEL
        if found is not None and found[2] == MODEL:
            (event,) = found[0]
            # Here, not when its task begins: until then the lane would look free.
            self.running[event] = self.clock()
            self.finish[event.session_hash] = tag_of(event) + calls_in(event)
            asking = len({one.session_hash for one in self._held()})
            self.now = max(self.now, tag_of(event)) + calls_in(event) / asking
            self.finish = {session: tag for session, tag in self.finish.items() if tag > self.now}
        return found

    def _gather(self, first: Event, queue: Sequence[Event]) -> None:
        """Join those in line whose pictures can be made in one batch with the first's."""
        members = self._members(first, queue)
        if len(members) > 1:
            batch, place = Batch([event.model_request.request for event in members]), 0  # type: ignore[attr-defined]
            for event in members:
                event.batch, event.first = batch, place  # type: ignore[attr-defined]
                place += event.model_request.request.count  # type: ignore[attr-defined]

    def _members(self, first: Event, queue: Sequence[Event]) -> list[Event]:
        """The first and those in line that can be made in one batch with it."""
        members, own = [first], model_request_in(first)
        if own is None:
            return members
        pictures, calls = own.request.count, calls_in(first)
        for event in queue:
            asked = model_request_in(event)
            if asked is None or asked.kind != own.kind:
                continue
            if pictures + asked.request.count <= self.together and calls + calls_in(event) <= SHORT:
                members.append(event)
                pictures, calls = pictures + asked.request.count, calls + calls_in(event)
        return members

    def _has_a_lane(self, running: int) -> bool:
        return 0 < running < LANES and all(calls_in(event) > SHORT for event in self.running)

    async def process_events(self, events: list[Event], batch: bool, begin_time: float, fn: Any) -> None:
        """Work on a request; one that is cancelled goes on until its thread has heard of it."""
        begun, waited = self.clock(), time.monotonic() - events[0].enqueue_time
        work = asyncio.ensure_future(super().process_events(events, batch, begin_time, fn))
        stopped = False
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            stopped = True
            for event in events:
                event.alive = False  # `turns.in_turns` looks at it between two steps
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work
            raise
        finally:
            for event in events:
                self.running.pop(event, None)
            if fn.concurrency_id == MODEL:
                stopped |= not events[0].alive
                self._note(events[0], fn, waited, self.clock() - begun, stopped)

    def _note(self, event: Event, fn: Any, waited: float, seconds: float, stopped: bool) -> None:
        said = str(self.event_analytics.get(event._id, {}).get("status"))
        outcome = "stopped" if stopped else OUTCOMES.get(said, "failed")
        made = calls_in(event) > 0  # a live draft may find its picture shown already: nothing is learned of that
        if stopped:
            self.finish.pop(event.session_hash, None)  # what was not made is not put to its account
        batch = batch_of(event)
        if made and outcome == "done" and (batch is None or event.first == 0):  # type: ignore[attr-defined]
            calls = round(calls_in(event) * batch_factor(event))
            self.pace.note(handler_of(event), calls, seconds, batch is not None)
        self.metrics.done(kind_of(fn), outcome, waited, seconds, calls_in(event))

    def broadcast_estimations(self, concurrency_id: str, after: int | None = None) -> None:
        """Tell all who wait for the model their place and when their result is likely."""
        if concurrency_id != MODEL:
            return super().broadcast_estimations(concurrency_id, after)
        if after is not None:  # of one that has just come and is not lined up yet; all are told when it is
            return None
        queue = self.event_queue_per_concurrency_id[MODEL].queue
        for rank, (event, ahead) in enumerate(zip(queue, self._ahead(queue), strict=True)):
            self.send_message(event, EstimationMessage(rank=rank, rank_eta=ahead, queue_size=len(queue)))
        return None

    def _ahead(self, queue: Sequence[Event]) -> list[float | None]:
        """Seconds until each result; None before it is known how fast the model is."""
        if self.pace.seconds(PAGE, 1) is None:
            return [None] * len(queue)
        now = self.clock()
        begun: dict[int, tuple[float, list[Event]]] = {}
        for event, since in self.running.items():
            batch = batch_of(event)
            begun.setdefault(id(batch or event), (since, []))[1].append(event)
        running = []
        for since, events in begun.values():
            work = self._work(events)
            work.left = max(0.0, work.left - (now - since))
            running.append(work)
        ready = until_ready(running, queue, self._work, self._members, LANES)
        return [ready[event] for event in queue]

    def _work(self, events: Sequence[Event]) -> Work[Event]:
        first, batched = events[0], len(events) > 1 or batch_of(events[0]) is not None
        calls = sum(map(calls_in, events))
        seconds = self.pace.seconds(handler_of(first), calls, batched) or 0.0
        return Work(events, seconds, all(calls_in(event) <= SHORT for event in events))


def line_of(page: Blocks) -> Line:
    """The line of a page that `ui.page.build` has built."""
    assert isinstance(page._queue, Line)
    return page._queue
