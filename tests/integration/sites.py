"""
Two small sites behind the middlewares, for tests: ``asgi_site`` and ``wsgi_site``, each page a way to end a request.

Each path counts a hit of itself first. ``/fail`` answers 500, ``/raise`` raises before the response, ``/break`` in the
middle of it, ``/stream`` counts another hit between its chunks, ``/write`` uses the old write() of WSGI; any other path
is answered plainly. ``/totals`` is not counted: it answers what is stored, as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any

from coodie import aio, sync
from coodie.fields import Counter, PrimaryKey

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}


class AioHits(aio.CounterDocument):
    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()] = 0

    class Settings:
        name = "page_hits"


class SyncHits(sync.CounterDocument):
    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()] = 0

    class Settings:
        name = "page_hits"


async def asgi_site(scope: Any, receive: Any, send: Any) -> None:
    path = scope["path"]
    body = path.encode()
    if path == "/totals":
        body = json.dumps({row.url: row.views for row in await AioHits.find().all()}).encode()
    else:
        await AioHits(url=path).increment(views=1)
    if path == "/raise":
        raise RuntimeError("before the response")
    await send(START | {"status": 500 if path == "/fail" else 200})
    if path in ("/break", "/stream"):
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await AioHits(url=path).increment(views=1)
    if path == "/break":
        raise RuntimeError("in the middle of the response")
    await send({"type": "http.response.body", "body": body})


def wsgi_site(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    body = path.encode()
    if path == "/totals":
        body = json.dumps({row.url: row.views for row in SyncHits.find().all()}).encode()
    else:
        SyncHits(url=path).increment(views=1)
    if path == "/raise":
        raise RuntimeError("before the response")
    status = "500 Internal Server Error" if path == "/fail" else "200 OK"
    write = start_response(status, [("Content-Type", "text/plain")])
    if path == "/write":
        write(body)
        return []
    return _chunks(path) if path in ("/break", "/stream") else [body]


def _chunks(path: str) -> Iterator[bytes]:
    yield b"one"
    SyncHits(url=path).increment(views=1)
    if path == "/break":
        raise RuntimeError("in the middle of the response")
    yield b"two"
