"""
What lives beside a started aggregator: its status endpoint, an exporter of its figures.

Rules that live here: a companion begins and ends with the aggregator, in each process anew; whatever it raises is
logged, and counting goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from aggregator.api import Aggregator

log = logging.getLogger("aggregator")


class Companion(Protocol):
    """What begins and ends with an aggregator."""

    def begin(self) -> None: ...

    def end(self) -> None: ...

    def close_in_child(self) -> None: ...


class Companions:
    """The companions of one aggregator."""

    def __init__(self, aggregator: Aggregator) -> None:
        self._all: list[Companion] = []
        self._has_begun = False
        if aggregator.options.status is not None:
            from aggregator.web.endpoint import Endpoint  # a server is imported where one is asked for

            self.add(Endpoint(aggregator, aggregator.options.status))

    def add(self, companion: Companion) -> None:
        """Take one more; it begins now if the aggregator has."""
        self._all.append(companion)
        if self._has_begun:
            _guarded(companion.begin)

    def begin(self) -> None:
        """Begin, in the process that counts."""
        self._has_begun = True
        for companion in self._all:
            _guarded(companion.begin)

    def end(self) -> None:
        """End, after the last flush."""
        self._has_begun = False
        for companion in self._all:
            _guarded(companion.end)

    def close_in_child(self) -> None:
        """Let go of what is the parent's, in a forked child."""
        self._has_begun = False
        for companion in self._all:
            _guarded(companion.close_in_child)


def _guarded(step: Callable[[], None]) -> None:
    try:
        step()
    except Exception:
        log.exception("%r failed; counting goes on", step)
