"""
Count page hits in a Starlette application; a page that fails counts nothing.

Run: uvicorn --workers 2 examples.starlette_app:app
     COODIE_HOSTS=127.0.0.1 COODIE_KEYSPACE=web uvicorn --workers 2 examples.starlette_app:app

GET /any/page counts a hit; GET /hits/any/page answers the total stored so far; GET /broken fails.
"""

from __future__ import annotations

from typing import Annotated

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from aggregator import Aggregator
from aggregator.integrations.starlette import AggregatorMiddleware, lifespan
from coodie.aio import CounterDocument, init_coodie
from coodie.exceptions import DocumentNotFound
from coodie.fields import Counter, PrimaryKey


class PageHits(CounterDocument):
    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()] = 0

    class Settings:
        name = "page_hits"


async def connect(app: Starlette) -> None:
    """Set up what counting needs: done in each worker, before the aggregator starts."""
    await init_coodie()
    await PageHits.sync_table()


async def hits(request: Request) -> PlainTextResponse:
    """Answer the total of a page as the database has it."""
    try:
        found = await PageHits.get(url="/" + request.path_params["path"])
    except DocumentNotFound:
        return PlainTextResponse("0")
    return PlainTextResponse(str(found.views))


async def page(request: Request) -> PlainTextResponse:
    """Count a hit: memory only, no round trip."""
    await PageHits(url=request.url.path).increment(views=1)
    if request.url.path == "/broken":
        return PlainTextResponse("oh", status_code=500)
    return PlainTextResponse(f"this is {request.url.path}")


aggregator = Aggregator()
app = Starlette(
    routes=[Route("/hits/{path:path}", hits), Route("/{path:path}", page)],
    middleware=[Middleware(AggregatorMiddleware, aggregator=aggregator, discard_on_error=True)],
    lifespan=lifespan(aggregator, connect),  # starts it; on exit: the last flush
)
