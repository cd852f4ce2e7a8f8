"""
The server process of ``aggregator demo``: a small web application that counts its page hits, and its live page.

Rules that live here:

* Run as ``python -m aggregator.cli.demo_server SOCKET DATABASE``: the number of an inherited listening socket, and the
  SQLite file.
* It serves until its standard input ends, which happens also when the parent is killed: no server is left behind.
* Only requests that bear the token of this run (``AGGREGATOR_DEMO_TOKEN``) count: anyone may open a page, and the
  totals still agree with the demo's own traffic.
* After the last flush it writes its statistics to standard output, as one line of JSON.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Annotated, Any

import msgspec
import uvicorn

from aggregator.api import Aggregator
from aggregator.cli.traffic import HEADER, TOKEN
from aggregator.integrations.asgi import AggregatorMiddleware
from aggregator.web.live import LivePage, answer
from coodie.aio import CounterDocument, init_coodie
from coodie.fields import Counter, PrimaryKey

LIVE_PATHS = ("/", "/figures.json", "/events")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class PageHits(CounterDocument):
    """The table of the guide, as the demo needs it."""

    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()] = 0

    class Settings:
        name = "page_hits"


class DemoSite:
    """An ASGI application: the live page, and any other path is a page whose hits are counted."""

    def __init__(self, database: str, token: str) -> None:
        self._database = database
        self._mark = (HEADER.encode(), token.encode())
        self._aggregator = Aggregator()
        self._live = LivePage(self._aggregator)
        self._pages = AggregatorMiddleware(self._page, aggregator=self._aggregator)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live_through(receive, send)
        elif scope["type"] == "http" and scope["path"] in LIVE_PATHS:
            await self._live(scope, receive, send)
        elif scope["type"] == "http":
            await self._pages(scope, receive, send)

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        text = f"This is {scope['path']}\n"
        if self._mark in scope["headers"]:
            await PageHits(url=scope["path"]).increment(views=1)
        else:
            text += "Your visit was not counted: the demo counts its own traffic alone.\n"
        await answer(send, 200, b"text/plain; charset=utf-8", text.encode())

    async def _live_through(self, receive: Receive, send: Send) -> None:
        """Hold the connection and the aggregator for as long as the server lives."""
        await receive()
        await init_coodie(driver_type="sqlite", database=self._database)
        await PageHits.sync_table()
        async with self._aggregator:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        sys.stdout.buffer.write(msgspec.json.encode(self._aggregator.stats()) + b"\n")
        sys.stdout.flush()
        await send({"type": "lifespan.shutdown.complete"})


def serve(listening: int, database: str, token: str) -> None:
    """Serve the demo on an inherited socket until standard input ends."""
    config = uvicorn.Config(DemoSite(database, token), log_level="error", access_log=False, timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    threading.Thread(target=_stop_at_end_of_input, args=(server,), daemon=True).start()
    with socket.socket(fileno=listening) as inherited:
        server.run(sockets=[inherited])


def _stop_at_end_of_input(server: uvicorn.Server) -> None:
    # os.read, not sys.stdin: a thread that waits inside sys.stdin aborts the interpreter at its end.
    while os.read(0, 1024):
        pass
    server.should_exit = True


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2], os.environ[TOKEN])
