"""A FastAPI application of one page, which counts its visits where COUNT is set and knows nothing of it elsewhere."""

from __future__ import annotations

import os
from typing import Annotated

from fastapi import FastAPI

if os.environ["COUNT"]:
    from aggregator import Aggregator
    from aggregator.integrations.fastapi import AggregatorMiddleware, lifespan
    from coodie.aio import CounterDocument, init_coodie
    from coodie.fields import Counter, PrimaryKey

    class PageHits(CounterDocument):
        url: Annotated[str, PrimaryKey()]
        views: Annotated[int, Counter()] = 0

        class Settings:
            name = "hits"

    async def connect(app: FastAPI) -> None:
        await init_coodie(driver_type="sqlite", database="hits.db")
        await PageHits.sync_table()

    app = FastAPI(lifespan=lifespan(Aggregator(), connect))
    app.add_middleware(AggregatorMiddleware)

    @app.get("/{path:path}")
    async def counted(path: str) -> dict[str, str]:
        await PageHits(url=f"/{path}").increment(views=1)
        return {"page": path}

else:
    app = FastAPI()

    @app.get("/{path:path}")
    async def bare(path: str) -> dict[str, str]:
        return {"page": path}
