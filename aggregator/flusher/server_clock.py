"""
Whether this machine's clock may be used for timestamps: it must not run ahead of the database's.

Rules that live here:

* A timestamp far in the future could never be overwritten by a later writer, and ScyllaDB refuses more than three days.
* The database is asked at the first use of a connection, and again when the wall clock has jumped ahead of the
  monotonic one. A clock that steps back is harmless: timestamps only rise.
* The embedded store runs on this machine's clock, so there is nothing to compare.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from aggregator.flusher.asking import asking
from coodie.exceptions import ConfigurationError
from coodie.statement import Raw, Statement

MOST_AHEAD_S = 300.0
"""How far our timestamps may be ahead of the database's clock."""

_ASK = "SELECT toTimestamp(now()) AS now FROM system.local"


class ServerClock:
    """Compare the clock with the database's, once for each connection and jump."""

    def __init__(self, clock: Callable[[], float], now_us: Callable[[], int]) -> None:
        self._clock = clock
        self._now_us = now_us
        self._checked: Any = None  # the driver that was asked
        self._offset = 0.0  # wall clock less monotonic clock when it was

    def check(self, driver: Any, last_stamp: int) -> None:
        """
        Ask the database for its time where that is due.

        Raises:
            ConfigurationError: our clock, or a timestamp given out before, is too far ahead; nothing was sent.
        """
        if not driver.needs_keyspace:
            return
        offset = self._now_us() / 1e6 - self._clock()
        if self._checked is driver and offset - self._offset < MOST_AHEAD_S / 2:
            return
        rows = asking(driver)(Statement(Raw(_ASK), render=_text)).items
        if not rows:  # test doubles of users answer nothing
            return
        there = _seconds(next(iter(rows[0].values())))
        ahead = max(self._now_us(), last_stamp) / 1e6 - there
        if ahead > MOST_AHEAD_S:
            raise ConfigurationError(
                f"the clock of this machine, or the last timestamp in its journal, is {ahead:.0f} s ahead of the "
                f"database's; exact tables allow {MOST_AHEAD_S:.0f} s; set the clock; nothing was sent, all is kept"
            )
        self._checked, self._offset = driver, offset


def _text(shape: Any) -> str:
    text: str = shape.text
    return text


def _seconds(now: Any) -> float:
    if isinstance(now, datetime):
        return (now if now.tzinfo else now.replace(tzinfo=UTC)).timestamp()
    return float(now) / 1000
