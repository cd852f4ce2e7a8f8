"""
Count page hits in a FastAPI application.

Run: uvicorn --workers 2 examples.fastapi_app:app
     COODIE_HOSTS=127.0.0.1 COODIE_KEYSPACE=web uvicorn --workers 2 examples.fastapi_app:app

GET /any/page counts a hit; GET /hits/any/page answers the total stored so far; GET /pending/any/page what this worker
has not written yet; GET /docs is FastAPI's own page of them.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI

from aggregator import Aggregator
from aggregator.integrations.fastapi import AggregatorMiddleware, get_aggregator, lifespan
from coodie.aio import CounterDocument, init_coodie
from coodie.exceptions import DocumentNotFound
from coodie.fields import Counter, PrimaryKey


class PageHits(CounterDocument):
    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()] = 0

    class Settings:
        name = "page_hits"


async def connect(app: FastAPI) -> None:
    """Set up what counting needs: done in each worker, before the aggregator starts."""
    await init_coodie()
    await PageHits.sync_table()


aggregator = Aggregator()
app = FastAPI(lifespan=lifespan(aggregator, connect))  # starts it; on exit: the last flush
app.add_middleware(AggregatorMiddleware, aggregator=aggregator)


@app.get("/hits/{path:path}")
async def hits(path: str) -> int:
    """Answer the total of a page as the database has it."""
    try:
        return (await PageHits.get(url=f"/{path}")).views
    except DocumentNotFound:
        return 0


@app.get("/pending/{path:path}")
async def pending(path: str, started: Annotated[Aggregator, Depends(get_aggregator)]) -> dict[str, int]:
    """Answer what this worker has counted of a page and not written yet."""
    return started.pending(PageHits, url=f"/{path}")


@app.get("/{path:path}")
async def page(path: str) -> str:
    """Count a hit: memory only, no round trip."""
    await PageHits(url=f"/{path}").increment(views=1)
    return f"this is /{path}"
