"""
``AggregatorMiddleware`` for any WSGI application; needs no framework.

Rules that live here: a response ends when the server closes its body, so the middleware acts there, after the last
byte; with ``discard_on_error`` the call, the iteration and ``close()`` run in one copied context, so that the request
scope covers all three and no other request, whatever thread the server uses for each.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from aggregator.api import Aggregator
from aggregator.integrations.request_end import RequestEnd
from aggregator.integrations.wsgi_response import Response


class AggregatorMiddleware(RequestEnd):
    """Wrap a WSGI application; for ``aggregator``, ``on_teardown`` and ``discard_on_error`` see ``RequestEnd``."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        aggregator = self._serving()
        if aggregator is None:
            body: Iterable[bytes] = self.app(environ, start_response)
            return body
        if self._discard_on_error:
            request = aggregator.request(discard_on_error=True)
            response = Response(request, contextvars.copy_context().run, lambda: self._teardown(aggregator))
            return response.begin(self.app, environ, start_response)
        try:
            return _Closing(self.app(environ, start_response), lambda: self._teardown(aggregator))
        except BaseException:
            self._teardown(aggregator)
            raise

    def _teardown(self, aggregator: Aggregator) -> None:
        try:
            if self._owes_flush(aggregator):
                aggregator.flush()
        except Exception as error:
            self._log_failed_flush(error)


class _Closing:
    """The body of a response whose request has no scope: it passes through, and only its end is told."""

    def __init__(self, body: Iterable[bytes], teardown: Callable[[], None]) -> None:
        self._body, self._teardown = body, teardown

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        """End the application's body, then the request."""
        try:
            if hasattr(self._body, "close"):
                self._body.close()
        finally:
            self._teardown()
