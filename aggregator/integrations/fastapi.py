"""
``AggregatorMiddleware``, ``lifespan`` and the dependency ``get_aggregator`` for FastAPI.

Rules that live here: FastAPI is Starlette but for its dependencies, so the rest is Starlette's.
"""

from __future__ import annotations

from aggregator.api import Aggregator
from aggregator.exceptions import LifecycleError
from aggregator.integrations.starlette import AggregatorMiddleware, lifespan
from aggregator.lifecycle import current

__all__ = ["AggregatorMiddleware", "get_aggregator", "lifespan"]


async def get_aggregator() -> Aggregator:
    """
    Return the started aggregator, for a path operation that looks at it: ``Depends(get_aggregator)``.

    Counting needs it nowhere. Raises ``LifecycleError`` where none is started.
    """
    started = current()
    if started is None:
        raise LifecycleError(
            "no aggregator is started: use FastAPI(lifespan=lifespan(aggregator)), and in tests the client as a "
            "context manager, `with TestClient(app)`, which runs it"
        )
    return started
