"""
``AggregatorMiddleware`` for any ASGI application; needs no framework.

Rules that live here: it acts after the application returned, so after the response's last byte; only ``http`` is
touched (websockets and the lifespan pass through); starting and stopping the aggregator stays the application's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from aggregator.api import Aggregator
from aggregator.integrations.request_end import RequestEnd

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class AggregatorMiddleware(RequestEnd):
    """Wrap an ASGI application; for ``aggregator``, ``on_teardown`` and ``discard_on_error`` see ``RequestEnd``."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        aggregator = self._serving() if scope["type"] == "http" else None
        if aggregator is None:
            await self.app(scope, receive, send)
            return
        try:
            if self._discard_on_error:
                await self._call_in_request(aggregator, scope, receive, send)
            else:
                await self.app(scope, receive, send)
        except Exception:
            await self._teardown(aggregator)
            raise
        await self._teardown(aggregator)

    async def _call_in_request(self, aggregator: Aggregator, scope: Scope, receive: Receive, send: Send) -> None:
        async with aggregator.request(discard_on_error=True) as request:

            async def watch(message: MutableMapping[str, Any]) -> None:
                if message["type"] == "http.response.start" and message["status"] >= 500:
                    request.discard()
                await send(message)

            await self.app(scope, receive, watch)

    async def _teardown(self, aggregator: Aggregator) -> None:
        try:
            if self._owes_flush(aggregator):
                await aggregator.aflush()
        except Exception as error:
            self._log_failed_flush(error)
