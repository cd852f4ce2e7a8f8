"""
How a statement is sent: the checks of what a caller may ask for, once for queries and writes.

Rules that live here: TTL and timeout are in s, timestamps in us since 1970. What no database would take is refused by
name, with the value and what is allowed, before anything is sent.
"""

from __future__ import annotations

import math
from typing import Any

from coodie.exceptions import InvalidQueryError

TTL_MAX_S = 630_720_000
"""20 years of 365 days: the longest TTL that Cassandra takes."""
_INT_MAX, _TIMESTAMP_MAX_US = 2**31 - 1, 2**63 - 1
_LEVELS = "ANY ONE TWO THREE QUORUM ALL LOCAL_QUORUM EACH_QUORUM SERIAL LOCAL_SERIAL LOCAL_ONE"
CONSISTENCY_LEVELS = tuple(_LEVELS.split())


def consistency_level(name: str | None) -> str | None:
    """Return the name of a consistency level in capitals, refusing an unknown one; None stays None."""
    if name is None:
        return None
    if str(name).upper() not in CONSISTENCY_LEVELS:
        raise InvalidQueryError(f"Unknown consistency level {name!r}; allowed: {', '.join(CONSISTENCY_LEVELS)}")
    return str(name).upper()


def positive(what: str, number: Any) -> int:
    """Return a number of rows, 1 or more."""
    return _whole(what, number, 1, _INT_MAX)


def time_to_live(seconds: Any) -> int:
    """Return a TTL in s; 0 is none at all."""
    return _whole("ttl", seconds, 0, TTL_MAX_S)


def timestamp(microseconds: Any) -> int:
    """Return the timestamp of a write in us since 1970."""
    return _whole("timestamp", microseconds, 0, _TIMESTAMP_MAX_US)


def timeout(seconds: Any) -> float:
    """Return how many s to wait for the database: more than 0."""
    known = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not known or not math.isfinite(seconds) or seconds <= 0:
        raise InvalidQueryError(f"timeout takes a number of seconds above 0, not {seconds!r}; nothing was sent")
    return seconds  # type: ignore[no-any-return]  # checked above


def _whole(what: str, number: Any, least: int, most: int) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
        raise InvalidQueryError(f"{what} takes an integer from {least} to {most}, not {number!r}; nothing was sent")
    return number
