"""
``AggregatorExtension`` for Flask: ``init_app``, options from ``app.config["AGGREGATOR_*"]``.

Rules that live here: the extension wraps ``app.wsgi_app``, so a request ends with the response's last byte, streamed
ones too, and middlewares around it count as the views do. The worker's first request starts the aggregator; the last
flush comes by itself when the process ends.
"""

from __future__ import annotations

from typing import Any

from flask import Flask

from aggregator.api import Aggregator
from aggregator.exceptions import ConfigurationError
from aggregator.integrations.worker import Worker
from aggregator.integrations.wsgi import AggregatorMiddleware

PREFIX = "AGGREGATOR_"


class AggregatorExtension:
    """
    Count in the requests of Flask applications.

    ``aggregator``: None makes one of the application's options, or serves one that is started already. The aggregator
    of an application is ``app.extensions["aggregator"]``; the started one is ``aggregator.current()``.
    """

    def __init__(self, app: Flask | None = None, aggregator: Aggregator | None = None) -> None:
        self._aggregator = aggregator
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """
        Serve an application; its configuration is read now. Nothing is started before its first request.

        ``AGGREGATOR_<OPTION>`` takes every option of ``Aggregator``, and ``AGGREGATOR_ON_TEARDOWN`` and
        ``AGGREGATOR_DISCARD_ON_ERROR``; explicit values stand before the environment's.

        Raises:
            ConfigurationError: an option is unknown or not allowed (named), or the application is served already.
        """
        if "aggregator" in app.extensions:
            raise ConfigurationError(f"init_app({app!r}) for the second time: every request would end twice")
        settings = {
            name.removeprefix(PREFIX).lower(): value for name, value in app.config.items() if name.startswith(PREFIX)
        }
        worker = Worker(self._aggregator, settings, lambda name: PREFIX + name.upper())
        app.wsgi_app = _Middleware(app.wsgi_app, worker)  # type: ignore[method-assign]  # Flask's own way to wrap it
        app.extensions["aggregator"] = worker.aggregator


class _Middleware(AggregatorMiddleware):
    """The WSGI middleware of an application whose first request starts the aggregator."""

    def __init__(self, app: Any, worker: Worker) -> None:
        super().__init__(app, **worker.request_end)
        self._begin = worker.begin

    def _serving(self) -> Aggregator | None:
        self._begin()
        return super()._serving()
