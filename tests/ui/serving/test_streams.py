"""Which streams of answers have something to tell, and which of two of one session does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from gradio.data_classes import PredictBodyInternal
from gradio.routes import App
from gradio.server_messages import EstimationMessage, ProcessCompletedMessage

from ui.serving import streams
from ui.serving.guard import Guard
from ui.serving.streams import session_of, will_tell


async def asked(queue: Any) -> str:
    """Have session "a" ask for something; its number."""
    body = PredictBodyInternal(data=[], session_hash="a", fn_index=0)
    request: Any = SimpleNamespace()
    _, number, _ = await queue.push(body, request, None)
    queue.pending_messages_per_session["a"].get_nowait()  # its place in line
    return str(number)


@pytest.fixture
def studio() -> gr.Blocks:
    """A page with a button."""
    with gr.Blocks() as page:
        gr.Button().click(lambda: None)
    return page


@pytest.fixture
def queue(studio: gr.Blocks) -> Any:
    """One in which session "a" has asked for something."""
    studio._queue.number = asyncio.run(asked(studio._queue))  # type: ignore[attr-defined]
    return studio._queue


def test_what_waits_or_runs_will_be_told_and_what_was_made_until_it_is_fetched(queue: Any) -> None:
    assert will_tell("a", queue)
    event = queue.event_ids_to_events[queue.number]
    queue.send_message(event, ProcessCompletedMessage(output={}, success=True))
    del queue.event_ids_to_events[queue.number]
    assert will_tell("a", queue)
    messages = queue.pending_messages_per_session["a"]
    while not messages.empty():
        messages.get_nowait()
    queue.pending_event_ids_session["a"].remove(queue.number)
    assert not will_tell("a", queue)


def test_what_was_left_is_told_to_nobody(queue: Any) -> None:
    queue.event_ids_to_events[queue.number].alive = False
    assert not will_tell("a", queue)


def test_whose_answers_a_stream_tells_and_other_paths_are_no_streams(queue: Any) -> None:
    assert not will_tell("b", queue)
    assert session_of("queue/data", {"session_hash": "b"}, queue) == "b"
    for place in ("generate/", "v2/generate/"):
        assert session_of(f"call/{place}{queue.number}", {}, queue) == "a"
        assert session_of(f"call/{place}0123", {}, queue) == "0123"
    for path, query in (("queue/data", {}), ("info", {}), ("call/generate", {}), ("heartbeat/a", {})):
        assert session_of(path, query, queue) is None


class Server:
    """Gradio's own server of a page and the guard around it, spoken to without a network."""

    def __init__(self, studio: gr.Blocks):
        self.queue: Any = studio._queue
        studio.is_running = True
        self.app = App.create_app(studio)
        self.guard = Guard(self.app)
        self.streams: list[Stream] = []

    def tell(self, number: str, rank: int | None = None) -> None:
        """Tell an event its place, or without one its answer."""
        event = self.queue.event_ids_to_events[number]
        if rank is None:
            self.queue.send_message(event, ProcessCompletedMessage(output={}, success=True))
        else:
            self.queue.send_message(event, EstimationMessage(rank=rank, queue_size=9))

    async def open(self, last: str | None = None, takes: bool = True) -> Stream:
        """A connection on which the answers of session "a" are asked for, and are now told or not."""
        before = self.guard.streams.newest.get("a")
        self.streams.append(stream := Stream(self, last, takes))
        while not stream.over and self.guard.streams.newest.get("a") is before:
            await asyncio.sleep(0.001)  # Gradio looks in a thread at who asks
        await soon()
        return stream


class Stream:
    """A connection, and what it has taken."""

    def __init__(self, server: Server, last: str | None, takes: bool):
        self.text, self.status, self.over = "", 0, False
        self.takes, self.gone = asyncio.Event(), asyncio.Event()
        if takes:
            self.takes.set()
        headers = [] if last is None else [(b"last-event-id", last.encode())]
        scope = {
            "type": "http", "asgi": {"spec_version": "2.3"}, "method": "GET", "path": "/gradio_api/queue/data",
            "query_string": b"session_hash=a", "headers": headers, "app": server.app, "root_path": "",
            "scheme": "http", "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1), "http_version": "1.1",
        }  # fmt: skip
        self.task = asyncio.ensure_future(server.guard(scope, self.receive, self.send))

    async def receive(self) -> Any:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await self.takes.wait()
        self.status = message.get("status", self.status)
        self.text += message.get("body", b"").decode()
        self.over |= message["type"] == "http.response.body" and not message.get("more_body")

    @property
    def told(self) -> list[Any]:
        """What came: places in line, and kinds of all else."""
        found = [json.loads(line[5:]) for line in self.text.splitlines() if line.startswith("data:")]
        return [one["rank"] if one["msg"] == "estimation" else one["msg"] for one in found]

    @property
    def numbers(self) -> list[str]:
        """What the messages are numbered by."""
        return [line[4:] for line in self.text.splitlines() if line.startswith("id: ")]


async def soon() -> None:
    """Let everything come to rest that nothing is missing for."""
    for _ in range(50):
        await asyncio.sleep(0)


def through(talk: Coroutine[Any, Any, None], server: Server) -> None:
    """Have the connections of a talk end with it."""

    async def all_of_it() -> None:
        await talk
        for stream in server.streams:
            stream.takes.set()
            stream.gone.set()
        await soon()
        for stream in server.streams:
            stream.task.cancel()
        await asyncio.gather(*(stream.task for stream in server.streams), return_exceptions=True)

    asyncio.run(all_of_it())


def test_the_newest_stream_takes_over_and_the_run_goes_on(studio: gr.Blocks) -> None:
    server = Server(studio)

    async def talk() -> None:
        number = await asked(server.queue)
        former = await server.open()
        server.tell(number, 3)
        await soon()
        newest = await server.open()
        assert (former.told, former.over) == ([3, "close_stream"], True)
        former.gone.set()
        await soon()
        assert server.queue.event_ids_to_events[number].alive
        for rank in (2, 1, 0):
            server.tell(number, rank)
            await soon()
        server.tell(number)
        await soon()
        assert newest.told == [2, 1, 0, "process_completed", "close_stream"]
        assert newest.over

    through(talk(), server)


def test_what_a_dead_connection_does_not_take_the_next_one_is_told_in_order(studio: gr.Blocks) -> None:
    server = Server(studio)

    async def talk() -> None:
        number = await asked(server.queue)
        former = await server.open()
        former.takes.clear()
        for rank in (3, 2, 1):
            server.tell(number, rank)
        await soon()
        await server.open(takes=False)  # as dead, before it has taken anything
        newest = await server.open()
        assert newest.told == [3, 2, 1]
        assert not newest.numbers
        former.takes.set()
        await soon()
        assert former.told == ["close_stream"]

    through(talk(), server)


def test_who_says_what_was_heard_last_is_told_what_the_dead_one_had_taken(studio: gr.Blocks) -> None:
    server = Server(studio)

    async def talk() -> None:
        number = await asked(server.queue)
        former = await server.open("17")  # of long ago
        for rank in (2, 1):
            server.tell(number, rank)
        server.tell(number)
        await soon()
        assert former.told == [2, 1, "process_completed", "close_stream"]
        first, second, *_ = former.numbers
        again = await server.open(first)  # though all is over
        assert again.told == [1, "process_completed", "close_stream"]
        assert again.numbers[0] == second
        assert again.over
        for last in ("", former.numbers[-1], None):
            silent = await server.open(last)
            assert (silent.told, silent.over) == (["close_stream"], True)

    through(talk(), server)


def test_who_asks_anew_is_not_told_what_was_left(studio: gr.Blocks) -> None:
    server = Server(studio)

    async def talk() -> None:
        number = await asked(server.queue)
        former = await server.open()
        former.takes.clear()
        server.tell(number)
        await soon()
        former.gone.set()  # before it has heard its answer
        await soon()
        number = await asked(server.queue)
        newest = await server.open()
        server.tell(number, 2)
        await soon()
        assert newest.told == [2]

    through(talk(), server)


def test_what_is_not_kept_any_more_is_not_passed_over_in_silence(
    studio: gr.Blocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MOST_KEPT", 1)
    server = Server(studio)

    async def talk() -> None:
        number = await asked(server.queue)
        former = await server.open("")
        for rank in (3, 2, 1):
            server.tell(number, rank)
            await soon()
        late = await server.open(former.numbers[0])
        assert (late.told, late.over) == (["close_stream"], True)

    through(talk(), server)


def test_who_leaves_the_newest_stream_has_left(studio: gr.Blocks) -> None:
    server = Server(studio)

    async def talk() -> None:
        number = await asked(server.queue)
        await server.open()
        newest = await server.open()
        newest.gone.set()
        await soon()
        assert number not in server.queue.event_ids_to_events

    through(talk(), server)


def test_who_may_not_come_in_takes_nothing_over(studio: gr.Blocks) -> None:
    server = Server(studio)

    async def talk() -> None:
        number = await asked(server.queue)
        former = await server.open()
        server.app.auth, studio.auth_message = {"ann": "secret"}, None
        stranger = await server.open("")
        assert stranger.status == 401
        server.tell(number, 2)
        await soon()
        assert former.told == [2]

    through(talk(), server)
