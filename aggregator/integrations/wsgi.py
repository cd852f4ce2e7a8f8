"""
``AggregatorMiddleware`` for any WSGI application; needs no framework.

Rules that live here: a response ends when the server closes its body, so the middleware acts there, after the last
byte; with ``discard_on_error`` the call, the iteration and ``close()`` run in one copied context, so that the request
scope covers all three and no other request, whatever thread the server uses for each.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterable
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
        request = aggregator.request(discard_on_error=True) if self._discard_on_error else None
        run = contextvars.copy_context().run if request else _run_here
        response = Response(request, run, lambda: self._teardown(aggregator))
        return response.begin(self.app, environ, start_response)

    def _teardown(self, aggregator: Aggregator) -> None:
        try:
            if self._owes_flush(aggregator):
                aggregator.flush()
        except Exception as error:
            self._log_failed_flush(error)


def _run_here(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)
