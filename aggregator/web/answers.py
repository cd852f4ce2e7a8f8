"""
One answer over ASGI, and the bounded body of a request.

Rules that live here: an answer is complete when it is sent, and kept by no cache. A body is read to a bound, and for a
time, whatever its client announces.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

import msgspec

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BODY_MAX = 4096
BODY_S = 5.0
TEXT, JSON = b"text/plain; charset=utf-8", b"application/json"


class Answer(NamedTuple):
    """A response."""

    status: int
    kind: bytes
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Refused(Exception):
    """A request that gets a line of text and nothing else."""

    def __init__(self, status: int, why: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(why)
        self.answer = said(status, why, *headers)


def said(status: int, line: str, *headers: tuple[bytes, bytes]) -> Answer:
    """Return a line of plain text."""
    return Answer(status, TEXT, f"{line}\n".encode(), headers)


def as_json(value: Any) -> Answer:
    """Return a value as JSON; what JSON does not know becomes its text."""
    return Answer(200, JSON, encoded(value))


def encoded(value: Any) -> bytes:
    """Encode a value; what JSON does not know becomes its text."""
    return bytes(msgspec.json.encode(value, enc_hook=str))


async def answer(send: Send, status: int, kind: bytes, body: bytes, method: str = "GET") -> None:
    """Send one complete response; a HEAD request gets its headers alone."""
    await deliver(send, Answer(status, kind, body), method)


async def deliver(send: Send, response: Answer, method: str = "GET") -> None:
    """Send a response; a HEAD request gets its headers alone."""
    headers = [
        (b"content-type", response.kind),
        (b"content-length", b"%d" % len(response.body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *response.headers,
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else response.body})


async def body_of(receive: Receive) -> bytes:
    """Return the body of a request; ``Refused`` where it is too long or does not come."""
    found = b""
    try:
        async with asyncio.timeout(BODY_S):
            while True:
                message = await receive()
                part: bytes = message.get("body", b"")
                found += part
                if len(found) > BODY_MAX:
                    raise Refused(413, f"a body of at most {BODY_MAX} bytes is allowed; nothing was changed")
                if not message.get("more_body"):
                    return found
    except TimeoutError:
        raise Refused(408, f"the body did not come within {BODY_S:g} s; nothing was changed") from None
