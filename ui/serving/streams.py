"""Streams of answers: on those that have nothing to tell, Gradio keeps a client waiting for good."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gradio.queueing import Queue
from gradio.server_messages import ProcessCompletedMessage

BY_EVENT = re.compile(r"call/(?:v2/)?[^/]+/(?P<event>[^/]+)/?")


def will_tell(call: str, query: Mapping[str, str], queue: Queue) -> bool:
    """Whether a stream has, or will have, an answer in it; True for what is no stream of answers.

    Args:
        call: path of the request below Gradio's API.
    """
    if call.strip("/") == "queue/data":
        session = query.get("session_hash")
        return session is None or _is_awaited(session, queue)
    if found := BY_EVENT.fullmatch(call):
        return _is_awaited(_session_of(found["event"], queue), queue)
    return True


def _session_of(number: str, queue: Queue) -> str:
    event = queue.event_ids_to_events.get(number)
    if event is not None:
        return str(event.session_hash)
    pending = queue.pending_event_ids_session.items()
    # A program that names no session has one of its event's number.
    return next((session for session, numbers in pending if number in numbers), number)


def _is_awaited(session: str, queue: Queue) -> bool:
    if (messages := queue.pending_messages_per_session.get(session)) is None:
        return False
    events = map(queue.event_ids_to_events.get, queue.pending_event_ids_session.get(session, ()))
    # What was said of waiting stays in there when who waited has left; only an answer ends a stream.
    answered = any(isinstance(message, ProcessCompletedMessage) for message in messages._queue)  # type: ignore[attr-defined]
    return answered or any(event is not None and event.alive for event in events)
