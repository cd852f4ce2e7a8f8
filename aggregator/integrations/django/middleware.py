"""
``AggregatorMiddleware`` for Django, sync and async.

Rules that live here: a request ends with Django's signal ``request_finished``, after the response's last byte, streamed
ones too. With ``discard_on_error`` what the view counts is kept apart until it has returned; what a streamed response
counts on its way is counted at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.apps import apps
from django.conf import settings
from django.core.signals import request_finished

from aggregator.api import Aggregator
from aggregator.exceptions import ConfigurationError
from aggregator.integrations.django.configuration import configuration
from aggregator.integrations.django.lifespan import warn_without_lifespan
from aggregator.integrations.request_end import RequestEnd

APP = "aggregator.integrations.django"


class AggregatorMiddleware(RequestEnd):
    """Serve Django's requests; for the options, given here or in the settings' ``AGGREGATOR``, see ``RequestEnd``."""

    sync_capable = async_capable = True

    def __init__(
        self, get_response: Callable[[Any], Any], aggregator: Aggregator | None = None, **options: Any
    ) -> None:
        super().__init__(get_response, aggregator, **{**configuration().request_end, **options})
        if not apps.is_installed(APP) and hasattr(settings, "AGGREGATOR"):
            raise ConfigurationError(f"AGGREGATOR in the settings, and nobody reads it: add {APP!r} to INSTALLED_APPS")
        self._begin = apps.get_app_config("aggregator").begin if apps.is_installed(APP) else lambda: None
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
        request_finished.connect(self._teardown)

    def __call__(self, request: Any) -> Any:
        if self._is_async:
            return self._answer(request)
        with self._scope() as scope:
            return _judged(self.app(request), scope)

    async def _answer(self, request: Any) -> Any:
        warn_without_lifespan()
        async with self._scope() as scope:
            response: Awaitable[Any] = self.app(request)
            return _judged(await response, scope)

    def _scope(self) -> Any:
        self._begin()
        aggregator = self._serving() if self._discard_on_error else None
        return nullcontext() if aggregator is None else aggregator.request(discard_on_error=True)

    def _teardown(self, **_signal: object) -> None:
        try:
            aggregator = self._serving()
            if aggregator is not None and self._owes_flush(aggregator):
                aggregator.flush()
        except Exception as error:
            self._log_failed_flush(error)


def _judged(response: Any, scope: Any) -> Any:
    """Return the response; one that is an error discards what its request counted."""
    if scope is not None and response.status_code >= 500:
        scope.discard()
    return response
