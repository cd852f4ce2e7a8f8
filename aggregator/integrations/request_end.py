"""
What every middleware does alike at the end of a request, whatever its framework.

Rules that live here: the options and their check, the aggregator served, and whether a flush is owed. An aggregator
that is not started is not served: requests pass through, and their increments go to the database directly.
"""

from __future__ import annotations

import logging
from typing import Any, Literal, TypeAlias

from aggregator.api import Aggregator
from aggregator.exceptions import ConfigurationError
from aggregator.lifecycle import current

OnTeardown: TypeAlias = Literal["wake", "flush", "off"]

logger = logging.getLogger("aggregator")


class RequestEnd:
    """
    Flush, or hint at a flush, at the end of each request; with ``discard_on_error`` count only requests that succeed.

    ``aggregator``: None serves the started one, looked up for each request. ``on_teardown``: ``"wake"`` wakes the
    background flusher if a flush is due, and flushes in the request only where no background flusher can run;
    ``"flush"`` always flushes and waits, after the response's last byte; ``"off"`` does nothing. ``discard_on_error``:
    an exception, or a status of 500 and above, discards what the request counted. Raises ``ConfigurationError`` for any
    other value.
    """

    def __init__(
        self,
        app: Any,
        aggregator: Aggregator | None = None,
        *,
        on_teardown: OnTeardown = "wake",
        discard_on_error: bool = False,
    ) -> None:
        if on_teardown not in ("wake", "flush", "off"):
            raise ConfigurationError(f"on_teardown={on_teardown!r} is not allowed; choose 'wake', 'flush' or 'off'")
        if not isinstance(discard_on_error, bool):
            raise ConfigurationError(f"discard_on_error={discard_on_error!r} is not allowed; choose True or False")
        if not (aggregator is None or isinstance(aggregator, Aggregator)):
            raise ConfigurationError(f"aggregator={aggregator!r} is not allowed; pass an Aggregator or None")
        self.app = app
        self._aggregator = aggregator
        self._on_teardown = on_teardown
        self._discard_on_error = discard_on_error

    def _serving(self) -> Aggregator | None:
        """Return the aggregator this request counts in, or None where it is not started."""
        started = current()
        return started if self._aggregator in (None, started) else None

    def _owes_flush(self, aggregator: Aggregator) -> bool:
        """Return whether this request must flush; wakes the background flusher where that is enough."""
        return self._on_teardown == "flush" or (self._on_teardown == "wake" and aggregator._teardown_hint())

    def _log_failed_flush(self, error: Exception) -> None:
        """Log what a flush raised: it never changes a response."""
        logger.error("the flush at the end of a request failed; what it did not write stays pending", exc_info=error)
