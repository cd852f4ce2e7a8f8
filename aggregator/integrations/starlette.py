"""
``AggregatorMiddleware`` and ``lifespan`` for Starlette.

Rules that live here: what the application sets up is there before the aggregator starts, and still there during its
last flush. A server runs the lifespan in each worker, after any fork.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from inspect import isawaitable
from typing import Any, TypeAlias

from starlette.applications import Starlette
from starlette.types import Lifespan

from aggregator.api import Aggregator
from aggregator.exceptions import ConfigurationError
from aggregator.integrations.asgi import AggregatorMiddleware

__all__ = ["AggregatorMiddleware", "lifespan"]

Setup: TypeAlias = Callable[[Any], Awaitable[object] | AbstractAsyncContextManager[Any]]


def lifespan(aggregator: Aggregator, setup: Setup | None = None) -> Lifespan[Any]:
    """
    Return a lifespan that runs an aggregator: ``Starlette(lifespan=lifespan(aggregator, setup))``.

    Args:
        aggregator: started when the worker starts; the last flush and its end when the worker ends.
        setup: what must be there before, as ``init_coodie()``: an async function of the application, or a lifespan of
            your own, which is left after the last flush; the state it yields is the requests' state.
    """

    @asynccontextmanager
    async def run(app: Starlette) -> AsyncIterator[Any]:
        async with AsyncExitStack() as stack:
            state = await _set_up(setup, app, stack) if setup is not None else None
            await stack.enter_async_context(aggregator)
            yield state

    return run


async def _set_up(setup: Setup, app: Starlette, stack: AsyncExitStack) -> Any:
    begun = setup(app)
    if isinstance(begun, AbstractAsyncContextManager):
        return await stack.enter_async_context(begun)
    if not isawaitable(begun):
        raise ConfigurationError(
            f"setup={setup!r} gave {begun!r}: an async function of the application is allowed, or a lifespan (an "
            "@asynccontextmanager function); the aggregator was not started"
        )
    await begun
    return None
