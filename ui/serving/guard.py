"""What the server answers, and to what: a middleware around Gradio's own server.

Gradio serves more than the page needs, and tells browsers nothing of what a page may do.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import re
from collections.abc import Iterable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.queueing import Queue
from gradio.utils import get_upload_folder
from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.errors import WENT_WRONG
from ui.serving.calls import NOT_TAKEN
from ui.serving.settings import FRAMED_BY
from ui.serving.streams import ENDED, Streams, session_of
from ui.theme import STATIC

NOTHING_TO_TELL = (
    "There is no answer to come here: it was fetched already, or nothing was asked. Ask again for another."
)
BROKEN_OFF = "The upload broke off."  # heard by nobody
API = "/gradio_api/"
FILE = "file="
# What Gradio offers under `API` and the page has no use for: a fetcher of addresses, links to what a session has open,
# its tools for developers, converters of recordings.
UNUSED = re.compile(
    r"(proxy=|file/|deep_link|dev/|vibe|undo-vibe|process_recording|run-history|runs\b|profiling|custom_component|"
    r"token\b|stream/)"
)
UNUSED_AT_ROOT = re.compile(r"/monitoring\b")
PLACE = re.compile(
    r"[0-9a-f]{64}"
)  # Gradio's name for the folder of one file in its cache: a keyed digest of its bytes
ADDRESS = re.compile(r"\s*[a-zA-Z][a-zA-Z0-9+.-]+:|\s*[/\\]{2}")  # a path on a disk has no scheme, or one letter of it
TOOLS = API + "mcp"
MOST_JSON = 2**20  # bytes of a call; pictures are uploaded beside it
MOST_JSON_OF_TOOLS = 2**25  # the same of MCP, whose clients have no other way to hand a picture over
MOST_FILES = {"upload": 2**29, "component_server": 2**24}  # bytes of files in a call: as many as train, and of a canvas
DEEPEST = 32  # lists and objects in one another
# What Gradio's page is made of bears a digest of itself in its name, so that it is never another under the same name.
LASTING = re.compile(r"/assets/[^/]+-[\w-]{8}\d*\.(?:js|css|svg|woff2?|ttf)$")

SCRIPTS = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)
HOSTS = re.compile(rb'<script[^>]*\ssrc="(https://[\w.-]+)/')

log = logging.getLogger(__name__)


class Refused(Exception):
    """A request that is not answered; the message says why."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status = status


class Guard:
    """Refuses what the page has no use for, and adds headers that browsers heed.

    Args:
        scripts: those that Gradio puts into the page by script.
        framed_by: addresses of pages that may frame this one, parted by spaces.
    """

    def __init__(self, app: ASGIApp, scripts: Iterable[str] = (), framed_by: str = FRAMED_BY):
        self.app, self.framed_by = app, framed_by
        self.scripts = [_digest(script.encode()) for script in scripts]
        self.streams = Streams()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _Answer(send, self, scope["path"])
        try:
            refuse_path(scope["path"])
            if scope["method"] == "GET" and (session := _streamed(scope)) is not None:
                queue = scope["app"].get_blocks()._queue
                if self.streams.can_tell(session, queue, Headers(scope=scope)):
                    return await self.streams.serve(session, queue, self.app, scope, receive, answer)
                return await _silence(scope, queue)(scope, receive, answer)
            if scope["method"] == "POST":
                most = MOST_JSON_OF_TOOLS if scope["path"].partition(TOOLS)[1] else MOST_JSON
                receive = await _checked_body(scope["path"], Headers(scope=scope), receive, most)
            await self.app(scope, receive, answer)
        except Refused as refused:
            await JSONResponse({"detail": str(refused)}, refused.status)(scope, receive, answer)
        except gr.Error as error:
            await JSONResponse({"detail": error.message}, 400)(scope, receive, answer)
        except ClientDisconnect:
            raise
        except (TypeError, ValueError, LookupError, AttributeError) as error:  # of Gradio's, on what no page sends
            if answer.begun:
                raise
            log.warning("%s %.80r was refused: %s", scope["method"], scope["path"], type(error).__name__)
            log.debug("what it stumbled over", exc_info=True)
            await JSONResponse({"detail": NOT_TAKEN}, 400)(scope, receive, answer)
        except Exception:
            if answer.begun:
                raise
            log.exception("a request failed")
            await JSONResponse({"detail": WENT_WRONG}, 500)(scope, receive, answer)

    def policy(self, html: bytes = b"") -> str:
        """What a page of this HTML may do: run the scripts in it, and ask nobody but this server."""
        scripts = [_digest(script) for script in SCRIPTS.findall(html)]
        hashes = " ".join(f"'sha256-{digest}'" for digest in dict.fromkeys([*self.scripts, *scripts]))
        # With --share, Gradio's page has all it is made of from Gradio's servers; else there is no such host in it.
        hosts = "".join(f" {host.decode()}" for host in dict.fromkeys(HOSTS.findall(html)))
        return "; ".join([
            f"default-src 'self'{hosts}",
            # Gradio makes functions out of its components' scripts, hence eval; an attribute such as onerror is inert.
            f"script-src 'self'{hosts} 'unsafe-eval' {hashes}".rstrip(),
            f"style-src 'self'{hosts} 'unsafe-inline'",
            f"img-src 'self'{hosts} data: blob:",
            "media-src 'self' data: blob:",
            f"font-src 'self'{hosts} data:",
            f"connect-src 'self'{hosts} data: blob:",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            f"frame-ancestors 'self' {self.framed_by}".rstrip(),
        ])  # fmt: skip


class _Answer:
    """Passes an answer on with its headers; a page when all of it is there, for they name its scripts."""

    def __init__(self, send: Send, guard: Guard, path: str):
        self.send, self.guard, self.path = send, guard, path
        self.begun = False
        self.held: Message | None = None
        self.html = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            headers = MutableHeaders(scope=message)
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "same-origin"
            headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=(), payment=(), usb=()"
            if headers.get("content-type", "").startswith("text/event-stream"):
                headers["X-Accel-Buffering"] = "no"  # a proxy that keeps it back would show a run when it is over
            if headers.get("content-type", "").startswith("text/html"):
                self.held = message
                return
            if API + FILE in self.path:  # opened by itself, a file is nothing but what it shows
                headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
                headers["Cache-Control"] = "private, max-age=3600"
            else:
                headers["Content-Security-Policy"] = self.guard.policy()
                if message["status"] == 200 and LASTING.search(self.path):
                    headers["Cache-Control"] = "public, max-age=31536000, immutable"
        elif self.held is not None:
            self.html += message.get("body", b"")
            if message.get("more_body"):
                return
            MutableHeaders(scope=self.held)["Content-Security-Policy"] = self.guard.policy(self.html)
            await self.send(self.held)
            self.held, message = None, {"type": "http.response.body", "body": self.html}
        await self.send(message)


def _digest(script: bytes) -> str:
    return base64.b64encode(hashlib.sha256(script).digest()).decode()


def refuse_path(path: str) -> None:
    """Raises `Refused` for what the page does not need served: see `UNUSED` and `is_served`."""
    _, api, call = path.partition(API)
    if UNUSED_AT_ROOT.search(path.partition(API)[0]) or (api and UNUSED.match(call)):
        raise Refused(404, "There is nothing here.")
    if api and call.startswith(FILE) and not is_served(call.removeprefix(FILE), Path(get_upload_folder())):
        raise Refused(403, "This is no file of the studio's page; it is gone, or never was one.")


def _streamed(scope: Scope) -> str | None:
    """The session whose answers are asked for; None if something else is."""
    _, api, call = scope["path"].partition(API)
    return session_of(call, QueryParams(scope["query_string"]), scope["app"].get_blocks()._queue) if api else None


def _silence(scope: Scope, queue: Queue) -> Response:
    """The end of a stream of answers in which there would be none: a page that was refused would wait for good.

    Raises:
        Refused: it is the stream of a program, or of a session that never asked for anything.
    """
    if QueryParams(scope["query_string"]).get("session_hash") in queue.pending_messages_per_session:
        return Response(ENDED, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
    raise Refused(404, NOTHING_TO_TELL)


def is_served(path: str, cache: Path) -> bool:
    """Whether a file may be handed out: by where it really is, an upload or a result in the `cache`, or an icon of the
    page.
    """
    try:
        real = Path(os.path.realpath(path, strict=True))
        if not real.is_file():
            return False
    except (OSError, ValueError):  # not there, or a name that no file can have
        return False
    if real.is_relative_to(STATIC.resolve()):
        return True
    try:
        place = real.relative_to(cache.resolve()).parts
    except ValueError:
        return False
    return len(place) == 2 and PLACE.fullmatch(place[0]) is not None and not place[1].startswith(".")


async def _checked_body(path: str, headers: Headers, receive: Receive, most: int) -> Receive:
    """What gives the app the body of a call again, once it was looked through.

    Raises:
        Refused: it is no JSON, too large or too deep, or names a file by an address.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return _limited(headers, receive, MOST_FILES.get(path.rstrip("/").rpartition("/")[2], most))
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > most:
            raise Refused(413, f"A call may have {most // 2**20} MB; upload pictures beside it.")
    if kind != "application/x-www-form-urlencoded":  # as who logs in sends it; all else Gradio takes for JSON
        refuse_call(body)
    given = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def again() -> MutableMapping[str, Any]:
        return next(given, None) or await receive()

    return again


def _limited(headers: Headers, receive: Receive, most: int) -> Receive:
    """What gives the app an upload until it is too large, for Gradio limits each file alone, or breaks off."""
    sentence = f"File size exceeded: {most // 2**20} MB is the maximum allowed size of a call with all its files."
    if (length := headers.get("content-length", "")).isdecimal() and int(length) > most:
        raise Refused(413, sentence)
    received, whole = 0, False

    async def limited() -> MutableMapping[str, Any]:
        nonlocal received, whole
        message = await receive()
        received += len(message.get("body", b""))
        if received > most:
            raise MultiPartException(sentence)  # for which Gradio removes what it has written, and answers
        if message["type"] == "http.disconnect" and not whole:  # for which it does not
            raise MultiPartException(BROKEN_OFF)
        whole |= not message.get("more_body")
        return message

    return limited


def refuse_call(body: bytes) -> None:
    """Raises `Refused` for a call that is no JSON, too deep, or names a file by an address."""
    try:
        content = json.loads(body or b"null")
        files = list(_files(content))
    except (ValueError, RecursionError):
        raise Refused(400, "This is not JSON, or not as a page or a program would send it.") from None
    for path, url in files:
        if (isinstance(path, str) and ADDRESS.match(path)) or (isinstance(url, str) and url.lstrip()[:5] == "data:"):
            raise Refused(400, "A file is given by an address; upload it, for the studio fetches none.")


def _files(content: Any, depth: int = 0) -> Iterator[tuple[Any, Any]]:
    """Path and address of whatever looks like a file in a call. Raises `RecursionError` beyond `DEEPEST`."""
    if depth > DEEPEST:
        raise RecursionError
    if isinstance(content, dict):
        if "path" in content or "url" in content:
            yield content.get("path"), content.get("url")
        content = list(content.values())
    if isinstance(content, list):
        for one in content:
            yield from _files(one, depth + 1)
