"""
Count page hits in a raw ASGI application.

Run: uvicorn examples.asgi_app:app
     COODIE_HOSTS=127.0.0.1 COODIE_KEYSPACE=web uvicorn examples.asgi_app:app

GET /any/page counts a hit and answers; GET /hits/any/page answers the total stored so far.
"""

from __future__ import annotations

from typing import Annotated, Any

from aggregator import Aggregator
from aggregator.integrations.asgi import AggregatorMiddleware
from coodie.aio import CounterDocument, init_coodie
from coodie.exceptions import DocumentNotFound
from coodie.fields import Counter, PrimaryKey

aggregator = Aggregator()


class PageHits(CounterDocument):
    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()] = 0

    class Settings:
        name = "page_hits"


async def site(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "http":
        path = scope["path"]
        if path.startswith("/hits/"):
            text = str(await stored(path.removeprefix("/hits")))
        else:
            await PageHits(url=path).increment(views=1)  # memory only: no round trip
            text = f"this is {path}"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": text.encode()})


async def stored(url: str) -> int:
    """Return the total of a page as the database has it."""
    try:
        return (await PageHits.get(url=url)).views
    except DocumentNotFound:
        return 0


async def lifespan(receive: Any, send: Any) -> None:
    """Connect, and run the aggregator for as long as the server lives."""
    await receive()
    await init_coodie()
    await PageHits.sync_table()
    async with aggregator:  # on exit: the last flush
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


app = AggregatorMiddleware(site, aggregator=aggregator)
