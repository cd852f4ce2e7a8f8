"""
The intake as an ASGI application: its paths, its answers, and how much of a body is read.

Rules that live here:

* ``POST /v1/increments``, ``GET /healthz``; every answer is JSON, an error is ``{"error": sentence}``.
* The bytes of a body are counted as they come, whatever Content-Length says; one that says too much is refused before
  its body is read. All bodies under way together are bounded too.
* The answer comes after the request is in the log, and with durability="disk" after a sync that began later than that:
  requests that wait for one share it.
* Keys are never logged.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec

from aggregator.agent.intake.accepted import Accepted
from aggregator.agent.intake.callers import Callers
from aggregator.agent.intake.refusal import Refusal
from aggregator.agent.intake.requests import BODY_BYTES
from aggregator.exceptions import JournalError

BODIES_BYTES = 64_000_000
"""Bytes of all bodies that are being received."""

log = logging.getLogger("aggregator")
_encode = msgspec.json.Encoder().encode


class App:
    """Answer requests. On the server's loop."""

    def __init__(self, accepted: Accepted, callers: Callers) -> None:
        self._accepted = accepted
        self._callers = callers
        self._receiving = 0
        self._syncs = SharedSync(accepted)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers: list[tuple[bytes, bytes]] = []
        try:
            status, answer = 200, await self._answer(scope, receive)
        except Refusal as refusal:
            status, answer = refusal.status, {"error": str(refusal)}
            if refusal.retry_after_s is not None:
                headers = [(b"retry-after", b"%d" % refusal.retry_after_s)]
        except _Gone:
            return
        except Exception:
            log.exception("the intake failed on a request; it may or may not be counted, and can be sent again")
            status, answer = 500, {"error": "the agent failed; send the same request again"}
        body = _encode(answer)
        headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Any, receive: Any) -> Any:
        headers = dict(scope["headers"])
        self._callers.check_token(headers.get(b"authorization", b""))
        path, method = scope["path"], scope["method"]
        if path == "/healthz" and method in ("GET", "HEAD"):
            return {"status": "ok", "rows": self._accepted.waiting_rows, "bytes": self._accepted.waiting_bytes}
        if path != "/v1/increments":
            raise Refusal(404, "there are POST /v1/increments and GET /healthz")
        if method != "POST":
            raise Refusal(405, "increments are sent with POST")
        body = await self._body(headers, receive)
        answer = self._accepted.accept(scope["state"]["caller"], body)
        if self._accepted.syncs:
            await self._syncs.wait()
        return answer._asdict()

    async def _body(self, headers: dict[bytes, bytes], receive: Any) -> bytes:
        said = headers.get(b"content-length", b"0")
        if int(said) > BODY_BYTES:  # h11 lets digits through alone
            raise _too_long()
        parts: list[bytes] = []
        size = 0
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _Gone
                part = message.get("body", b"")
                parts.append(part)
                size += len(part)
                self._receiving += len(part)
                if size > BODY_BYTES:
                    raise _too_long()
                if self._receiving > BODIES_BYTES:
                    raise Refusal(503, f"{BODIES_BYTES:,} bytes are being received already", 1)
                if not message.get("more_body"):
                    return b"".join(parts)
        finally:
            self._receiving -= size


class SharedSync:
    """Make what was accepted durable, once for all who wait: a sync serves those who came before it began."""

    def __init__(self, accepted: Accepted) -> None:
        self._accepted = accepted
        self._running: asyncio.Future[None] | None = None
        self._next: asyncio.Future[None] | None = None

    async def wait(self) -> None:
        """Return when everything accepted before the call is durable; raises :class:`Refusal` where that failed."""
        if self._next is None:
            self._next = asyncio.ensure_future(self._round(self._running))
        try:
            await asyncio.shield(self._next)
        except JournalError as error:
            raise Refusal(
                503, f"the log cannot be synced ({error}); send the same request again once the agent is restarted"
            ) from error

    async def _round(self, before: asyncio.Future[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        self._running, self._next = self._next, None
        await asyncio.get_running_loop().run_in_executor(None, self._accepted.sync)


class _Gone(Exception):
    """The client went away in the middle of its request."""


def _too_long() -> Refusal:
    return Refusal(413, f"a request has at most {BODY_BYTES:,} bytes; send smaller batches")
