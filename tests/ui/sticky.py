"""A reverse proxy for the tests: several apps behind one address, as deploy/nginx.conf has it, and in few lines."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

COOKIE = "studio"
HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "transfer-encoding",
    "host",
    "content-length",
    "content-encoding",
    "date",
    "server",
}


@dataclass
class Proxy:
    """Passes requests on to one of some addresses and remembers where each went.

    Attributes:
        behind: addresses of the apps.
        sticky: choose by the visitor's cookie, giving new visitors one in turn; else by the path asked for.
        went: which app answered, by visitor, as (path, number).
    """

    behind: list[str]
    sticky: bool
    went: list[tuple[str, str, int]] = field(default_factory=list)
    turn: Iterator[int] = field(default_factory=itertools.count)

    async def answer(self, request: Request) -> StreamingResponse:
        visitor = request.cookies.get(COOKIE) or str(next(self.turn))
        path = request.url.path
        number = (int(visitor) if self.sticky else int(path.endswith("/data"))) % len(self.behind)
        self.went.append((visitor, path, number))
        headers = {name: value for name, value in request.headers.items() if name not in HOP_BY_HOP}
        headers["x-forwarded-host"] = request.headers["host"]
        client = httpx.AsyncClient(timeout=None)
        passed = client.build_request(
            request.method, f"{self.behind[number]}{path}?{request.url.query}".rstrip("?"), headers=headers,
            content=await request.body(),
        )  # fmt: skip
        got = await client.send(passed, stream=True)

        async def body() -> AsyncIterator[bytes]:
            try:
                async for part in got.aiter_bytes():  # as it comes: events must not wait for the last one
                    yield part
            finally:
                await got.aclose()
                await client.aclose()

        kept = {name: value for name, value in got.headers.items() if name not in HOP_BY_HOP}
        response = StreamingResponse(body(), got.status_code, kept)
        if COOKIE not in request.cookies:
            response.set_cookie(COOKIE, visitor)
        return response

    @contextmanager
    def running(self, port: int) -> Iterator[str]:
        """The proxy on a port of this machine, in a thread; its address."""
        routes = [Route("/{path:path}", self.answer, methods=["GET", "POST", "HEAD", "OPTIONS"])]
        settings = uvicorn.Config(
            Starlette(routes=routes), port=port, log_level="critical", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(settings)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join(10)
