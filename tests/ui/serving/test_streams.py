"""Which streams of answers have something to tell."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from gradio.data_classes import PredictBodyInternal
from gradio.server_messages import ProcessCompletedMessage

from ui.serving.streams import will_tell


@pytest.fixture
def queue() -> Any:
    """One in which session "a" has asked for something."""
    with gr.Blocks() as page:
        gr.Button().click(lambda: None)
    queue = page._queue
    body = PredictBodyInternal(data=[], session_hash="a", fn_index=0)
    request: Any = SimpleNamespace()
    _, queue.number, _ = asyncio.run(queue.push(body, request, None))  # type: ignore[attr-defined]
    return queue


def tells(queue: Any) -> bool:
    by_event = {will_tell(f"call/{place}{queue.number}", {}, queue) for place in ("generate/", "v2/generate/")}
    (tells,) = by_event | {will_tell("queue/data", {"session_hash": "a"}, queue)}
    return tells


def test_what_waits_or_runs_will_be_told_and_what_was_made_until_it_is_fetched(queue: Any) -> None:
    assert tells(queue)
    event = queue.event_ids_to_events[queue.number]
    queue.send_message(event, ProcessCompletedMessage(output={}, success=True))
    del queue.event_ids_to_events[queue.number]
    assert tells(queue)
    messages = queue.pending_messages_per_session["a"]
    while not messages.empty():
        messages.get_nowait()
    queue.pending_event_ids_session["a"].remove(queue.number)
    assert not tells(queue)


def test_what_was_left_is_told_to_nobody(queue: Any) -> None:
    queue.event_ids_to_events[queue.number].alive = False
    assert not tells(queue)


def test_what_nobody_asked_for_is_not_awaited_and_other_paths_are_no_streams(queue: Any) -> None:
    assert not will_tell("queue/data", {"session_hash": "b"}, queue)
    assert not will_tell("call/generate/0123", {}, queue)
    for path, query in (("queue/data", {}), ("info", {}), ("call/generate", {}), ("heartbeat/a", {})):
        assert will_tell(path, query, queue)
