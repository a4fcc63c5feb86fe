"""Streams of answers: which have something to tell, and that a session has one at a time, the newest.

Gradio keeps a client waiting for good on one that has nothing to tell, and gives each of two half of the messages. A
session has two where a proxy or a phone has dropped the first, the server has not noticed, and the page opens another.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from gradio.queueing import Queue
from gradio.server_messages import CloseStreamMessage, ProcessCompletedMessage
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ENDED = f"data: {CloseStreamMessage().model_dump_json()}\n\n".encode()  # as Gradio says it
BY_EVENT = re.compile(r"call/(?:v2/)?[^/]+/(?P<event>[^/]+)/?")
KEPT = 120.0  # seconds for which what was told is kept after a stream's end; a page waits a minute for a silent one
MOST_KEPT = 2**19  # bytes of it, for each session: some minutes of previews


def session_of(call: str, query: Mapping[str, str], queue: Queue) -> str | None:
    """Whose answers a stream tells; None for what is no stream of answers.

    Args:
        call: path of the request below Gradio's API.
    """
    if call.strip("/") == "queue/data":
        return query.get("session_hash")
    found = BY_EVENT.fullmatch(call)
    return _asked_by(found["event"], queue) if found else None


def will_tell(session: str, queue: Queue) -> bool:
    """Whether there is, or will be, an answer for a session."""
    if (messages := queue.pending_messages_per_session.get(session)) is None:
        return False
    events = map(queue.event_ids_to_events.get, queue.pending_event_ids_session.get(session, ()))
    # What was said of waiting stays in there when who waited has left; only an answer ends a stream.
    answered = any(isinstance(message, ProcessCompletedMessage) for message in messages._queue)  # type: ignore[attr-defined]
    return answered or any(event is not None and event.alive for event in events)


def _asked_by(number: str, queue: Queue) -> str:
    event = queue.event_ids_to_events.get(number)
    if event is not None:
        return str(event.session_hash)
    pending = queue.pending_event_ids_session.items()
    # A program that names no session has one of its event's number.
    return next((session for session, numbers in pending if number in numbers), number)


class Streams:
    """The newest stream of each session, which takes over from the one before.

    A client that says `Last-Event-ID` (of server-sent events) has its messages numbered, and is told what came after
    the last one that it has, be it told to a dead stream. Any other client is told what no stream has been given to
    send; what a dead connection had taken in by then is lost to it.
    """

    def __init__(self) -> None:
        self.newest: dict[str, _Stream] = {}

    def can_tell(self, session: str, queue: Queue, headers: Headers) -> bool:
        """Whether there is, or will be, something that a client has not heard, and all of what it has not."""
        former = self.newest.get(session)
        missed = former.told.after(headers.get("last-event-id")) if former else []
        return missed is not None and (bool(missed) or will_tell(session, queue))

    async def serve(self, session: str, queue: Queue, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Have `app` tell a session what is there for it, and, once it does, end the session's former stream."""
        stream = _Stream(session, queue, self, Headers(scope=scope).get("last-event-id"), receive, send)
        try:
            await stream.run(app, scope)
        finally:
            stream.ended.set()
            if not stream.over.is_set():  # its client has heard the end, or left: only who asks is told again
                stream.told.delivered = stream.told.number
            asyncio.get_running_loop().call_later(KEPT, self._forget, session, stream)

    def _forget(self, session: str, stream: _Stream) -> None:
        if self.newest.get(session) is stream:
            del self.newest[session]


class _TakenOver(Exception):
    """A stream has nothing more to tell: another one goes on with it."""


class _Messages(asyncio.Queue[Any]):
    """Messages for a session, as Gradio keeps them, that one stream takes."""

    left = False  # whether it takes no more
    refused = False  # and has been told so

    async def get(self) -> Any:
        """The next message. Raises `_TakenOver` once there is another stream to take it."""
        if not self.left:
            message = await super().get()
            if not self.left:
                return message
            self._queue.appendleft(message)  # type: ignore[attr-defined]
        self.refused = True
        raise _TakenOver

    def leave(self) -> None:
        """Take no more, and wake who waits for more."""
        self.left = True
        self.put_nowait(None)


class _Told:
    """What was told to a session lately, numbered in order.

    Numbers go on from the time, so that those of a session that was forgotten are not taken for those of now.
    """

    def __init__(self) -> None:
        self.first = self.number = self.delivered = time.time_ns() // 1000
        self.kept: deque[tuple[int, bytes]] = deque()
        self.size = 0

    def add(self, words: bytes) -> int:
        self.number += 1
        self.kept.append((self.number, words))
        self.size += len(words)
        while self.size > MOST_KEPT and self.kept[0][0] <= self.delivered:
            self.size -= len(self.kept.popleft()[1])
        return self.number

    def after(self, last: str | None) -> list[tuple[int, bytes]] | None:
        """What came after the last that was heard, or was not given to any connection where that is not said.

        None: it is not all here any more.
        """
        since = int(last) if last and last.isascii() and last.isdecimal() else self.delivered
        if not self.first <= since <= self.number:  # of a session that was forgotten
            since = self.first
        if self.number - len(self.kept) > since:
            return None
        return [one for one in self.kept if one[0] > since]


class _Stream:
    """One connection on which a session is told its answers."""

    def __init__(self, session: str, queue: Queue, streams: Streams, last: str | None, receive: Receive, send: Send):
        self.session, self.queue, self.streams, self.last = session, queue, streams, last
        self.listen, self.write = receive, send
        self.messages, self.told = _Messages(), _Told()
        self.over, self.ended = asyncio.Event(), asyncio.Event()
        self.tells = False
        self.start: Message | None = None  # the head of the answer, while it is not written

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        try:
            await app(scope, self._receive, self._send)
        except Exception:
            if not self.messages.refused:
                raise
            self.ended.set()  # before the last words: a dead connection may not take them
            if self.start:
                await self.write(self.start)
            await self.write({"type": "http.response.body", "body": ENDED, "more_body": False})

    async def _take_over(self) -> None:
        former = self.streams.newest.get(self.session)
        self.streams.newest[self.session] = self
        if former:
            self.told = former.told
            await former._leave()
        pending, tells = self.queue.pending_messages_per_session, will_tell(self.session, self.queue)
        if (messages := pending.get(self.session)) is not None:
            while not messages.empty():
                if (message := messages.get_nowait()) is not None:
                    self.messages.put_nowait(message)
            pending[self.session] = self.messages
            if not tells:  # but for what the former one told to nobody
                self.messages.leave()

    async def _leave(self) -> None:
        """End, without the session being taken for one who left; returns when it takes no more messages."""
        self.over.set()
        self.messages.leave()
        await self.ended.wait()

    async def _receive(self) -> Message:
        message = await self.listen()
        if self.over.is_set() and message["type"] == "http.disconnect":
            await asyncio.Event().wait()  # nobody has left: it goes on in another stream
        return message

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.tells = message["status"] == 200  # else it is who may not come in
            if not self.tells:
                await self.write(message)
            else:
                await self._take_over()
                if not await self._written(message):
                    self.start = message
                for number, words in self.told.after(self.last) or ():
                    await self._tell(number, words)
        elif not self.tells:
            await self.write(message)
        elif message.get("body") and message["body"] != ENDED:  # which is not told again: there may be more by then
            if not self.messages.refused:  # what Gradio says of `_TakenOver`
                await self._tell(self.told.add(message["body"]), message["body"])
        else:
            await self._written(message)

    async def _tell(self, number: int, words: bytes) -> None:
        if self.last is not None:
            words = b"id: %d\n" % number + words
        if await self._written({"type": "http.response.body", "body": words, "more_body": True}):
            self.told.delivered = max(self.told.delivered, number)

    async def _written(self, message: Message) -> bool:
        """Whether the connection has taken it; a dead one may not, and is given up when another stream is there."""
        if self.over.is_set():
            return False
        writing, over = asyncio.ensure_future(self.write(message)), asyncio.ensure_future(self.over.wait())
        try:
            await asyncio.wait({writing, over}, return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                writing.result()
                return True
            return False
        finally:
            over.cancel()
            writing.cancel()
