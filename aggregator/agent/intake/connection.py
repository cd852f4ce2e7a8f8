"""
One connection of a client: uvicorn's, with the limits that it does not have.

Rules that live here:

* A request, from its first byte to the last of its answer, has :data:`REQUEST_S` seconds, and so has a new connection
  until its first request is answered: whoever sends or reads a byte now and then is cut off. uvicorn ends idle
  connections alone, and only after a first answer.
* Whoever is not let in can read why, for a second; nothing that it sends is looked at.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec
from uvicorn.protocols.http.h11_impl import H11Protocol

from aggregator.agent.intake.callers import Callers
from aggregator.agent.intake.refusal import Refusal

REQUEST_S = 10.0
IDLE_S = 60
HEAD_BYTES = 16_384
REFUSED = 64
"""Connections that are not let in and stay until their client has read why, or for ``REFUSED_S``."""
REFUSED_S = 1.0

_silent = logging.getLogger("aggregator.intake.http")
_silent.setLevel(logging.CRITICAL + 1)  # a hostile client must not fill the log; what fails here the application logs


class Connection(H11Protocol):
    """See the module's rules. h11 and not httptools, which loses the body of a request that offers an upgrade."""

    def __init__(self, callers: Callers, request_s: float = REQUEST_S, **given: Any) -> None:
        super().__init__(**given)
        self.logger, self.access_log = _silent, False
        self._callers = callers
        self._caller: str | None = None
        self._is_refused = False
        self._request_s = request_s
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own
        super().connection_made(transport)
        try:
            self._caller = self._callers.enter(transport.get_extra_info("socket"))
        except Refusal as refusal:
            self._refuse(refusal)
            return
        self.app_state = {"caller": self._caller}
        self._deadline = self.loop.call_later(self._request_s, transport.abort)

    def _refuse(self, refusal: Refusal) -> None:
        """Say why, and stay long enough for a client that sends first and reads then."""
        self.transport.write(_answer(refusal))
        if self._callers.refused >= REFUSED:
            self.transport.close()
            return
        self._callers.refused += 1
        self._is_refused = True
        self._deadline = self.loop.call_later(REFUSED_S, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        if self._caller is None:
            return  # refused: what still comes is not read
        if self._deadline is None:
            self._deadline = self.loop.call_later(self._request_s, self.transport.abort)
        super().data_received(data)

    def on_response_complete(self) -> None:
        self._end_deadline()
        super().on_response_complete()
        if self.conn.trailing_data[0] or not self.cycle.response_complete:  # sent ahead: the next one has begun
            self._deadline = self.loop.call_later(self._request_s, self.transport.abort)

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_deadline()
        if self._caller is not None:
            self._callers.leave(self._caller)
            self._caller = None
        if self._is_refused:
            self._callers.refused -= 1
            self._is_refused = False
        super().connection_lost(exc)


def _answer(refusal: Refusal) -> bytes:
    body = msgspec.json.encode({"error": str(refusal)})
    head = f"HTTP/1.1 {refusal.status} Refused\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body
