"""A Starlette site that counts each page and answers the process that served it; its lifespan yields a state."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from aggregator import Aggregator
from aggregator.integrations.starlette import AggregatorMiddleware, lifespan
from coodie.aio import init_coodie
from tests.servers.hits import CONNECTION, OPTIONS, AioHits

aggregator = Aggregator(**OPTIONS)


@asynccontextmanager
async def own_lifespan(app: Starlette) -> AsyncIterator[dict[str, int]]:
    driver = await init_coodie(**CONNECTION)
    await AioHits.sync_table()
    yield {"worker": os.getpid()}
    print(f"left with {aggregator.stats().pending} pending", flush=True)
    await driver.close_async()


async def page(request: Request) -> PlainTextResponse:
    await AioHits(url=request.url.path).increment(views=1)
    return PlainTextResponse(str(request.state.worker))


app = Starlette(
    routes=[Route("/{path:path}", page)],
    middleware=[Middleware(AggregatorMiddleware, aggregator=aggregator)],
    lifespan=lifespan(aggregator, own_lifespan),
)
