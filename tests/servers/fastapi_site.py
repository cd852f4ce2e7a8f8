"""A FastAPI site that counts each page and answers the process that served it."""

from __future__ import annotations

import os
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException

from aggregator import Aggregator
from aggregator.integrations.fastapi import AggregatorMiddleware, get_aggregator, lifespan
from coodie.aio import init_coodie
from tests.servers.hits import CONNECTION, OPTIONS, AioHits

aggregator = Aggregator(**OPTIONS)


async def setup(app: FastAPI) -> None:
    await init_coodie(**CONNECTION)
    await AioHits.sync_table()


app = FastAPI(lifespan=lifespan(aggregator, setup))
app.add_middleware(AggregatorMiddleware, discard_on_error=bool(os.environ.get("DISCARD")))


@app.get("/stats")
async def stats(started: Annotated[Aggregator, Depends(get_aggregator)]) -> dict[str, Any]:
    return {"accepted": started.stats().accepted, "is_ours": started is aggregator}


@app.get("/in-thread/{page}")
def in_thread(page: str) -> int:
    """Count in a thread of the pool."""
    from tests.servers.hits import Hits

    Hits(url=f"/in-thread/{page}").increment(views=1)
    return os.getpid()


@app.get("/{path:path}")
async def page(path: str) -> int:
    await AioHits(url=f"/{path}").increment(views=1)
    if path == "unavailable":
        raise HTTPException(503)
    if path == "broken":
        raise RuntimeError("a broken page")
    return os.getpid()
