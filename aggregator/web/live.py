"""
The live page of a running aggregator as an ASGI application: the page at ``/``, its figures at ``/figures.json``.

Rules that live here:

* The page is one file, ``live.html``, and loads nothing but the figures; it works offline.
* The page polls: an open page never holds up the server's shutdown, as an event stream would.
* Figures are totals and a clock; the page makes rates of two readings, so any number of pages may watch.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from importlib import resources
from typing import Any

import msgspec

from aggregator.api import Aggregator

HOTTEST = 12

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class LivePage:
    """Serve the live page of one aggregator; an ASGI application for GET and HEAD, from one event loop."""

    def __init__(self, aggregator: Aggregator) -> None:
        self._aggregator = aggregator
        self._started = time.monotonic()
        self._page = resources.files(__package__).joinpath("live.html").read_bytes()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            await answer(send, 405, b"text/plain", b"GET only\n", scope["method"])
        elif scope["path"] == "/":
            await answer(send, 200, b"text/html; charset=utf-8", self._page, scope["method"])
        elif scope["path"] == "/figures.json":
            await answer(send, 200, b"application/json", self.figures(), scope["method"])
        else:
            await answer(send, 404, b"text/plain", b"not found\n", scope["method"])

    def figures(self) -> bytes:
        """Return the figures of this instant as JSON; times are in seconds."""
        stats = self._aggregator.stats()
        account = ("accepted", "applied", "pending", "in_flight", "unknown", "dropped")
        totals = ("increments", "statements", "flushes", "rows_pending", "coalescing", "state", "last_flush_s")
        return msgspec.json.encode(
            {name: getattr(stats, name) for name in (*account, *totals)}
            | {"clock_s": time.monotonic() - self._started, "hottest": self._hottest()}
        )

    def _hottest(self) -> list[dict[str, Any]]:
        """Return the hottest rows of the last minutes, the hottest first."""
        return [
            {"row": " ".join(str(value) for value in hot.key.values()), "increments": hot.increments}
            for hot in self._aggregator.top(HOTTEST)
        ]


async def answer(send: Send, status: int, kind: bytes, body: bytes, method: str = "GET") -> None:
    """Send one complete response; a HEAD request gets its headers alone."""
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
