"""
The figures as server-sent events, one a second.

Rules that live here: a stream ends with its client, with the endpoint, and where its client does not read. The figures
of one instant are made once for all streams.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from aggregator.web.answers import Receive, Refused, Send, encoded

EVERY_S = 1.0
LOOK_S = 0.1  # at the end of the endpoint: no later than the server itself
READ_S = 5.0
MOST = 32

_HEAD = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")],
}


class Streams:
    """The open streams of an endpoint, on its loop."""

    def __init__(self, figures: Callable[[bool], dict[str, Any]], is_ending: Callable[[], bool]) -> None:
        self._figures = figures
        self._is_ending = is_ending
        self._open = 0
        self._made: dict[bool, tuple[float, bytes]] = {}

    async def serve(self, receive: Receive, send: Send, *, with_keys: bool) -> None:
        """Send events until the client goes or the endpoint ends; ``Refused`` where there are too many streams."""
        if self._open >= MOST:
            raise Refused(503, f"{MOST} streams are open, which is all there may be; /figures.json tells the same once")
        self._open += 1
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await send(_HEAD)
            while not (gone.done() or self._is_ending()):
                async with asyncio.timeout(READ_S):
                    await send({"type": "http.response.body", "body": self._event(with_keys), "more_body": True})
                await self._pause(gone)
            await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            return
        finally:
            self._open -= 1
            gone.cancel()

    async def _pause(self, gone: asyncio.Future[None]) -> None:
        until = time.monotonic() + EVERY_S
        while time.monotonic() < until and not (gone.done() or self._is_ending()):
            await asyncio.wait([gone], timeout=LOOK_S)

    def _event(self, with_keys: bool) -> bytes:
        now = time.monotonic()
        at, event = self._made.get(with_keys, (0.0, b""))
        if not event or now - at > EVERY_S / 2:
            event = b"data: %s\n\n" % encoded(self._figures(with_keys))
            self._made[with_keys] = now, event
        return event


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
