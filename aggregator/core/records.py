"""
What users hold in their hands: results, statistics, parked and refused deltas, hot keys.

Rules that live here: all are frozen; units are net sums of deltas, signed, so that
``accepted = applied + pending + in_flight + unknown + dropped`` is linear and holds under decrements and merges.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class FlushResult(msgspec.Struct, frozen=True, kw_only=True):
    """
    What one flush did, in units.

    ``requeued`` was surely not written and stays pending, ``remaining`` is all that is pending or in flight when the
    flush returns, ``elapsed`` is in seconds, ``errors`` holds at most ten texts.
    """

    applied: int = 0
    requeued: int = 0
    unknown: int = 0
    dropped: int = 0
    remaining: int = 0
    rows: int = 0
    statements: int = 0
    elapsed: float = 0.0
    errors: list[str] = []


class ColumnStats(msgspec.Struct, frozen=True, kw_only=True):
    """The account of one counter column, in units; ``unknown = unknown_positive + unknown_negative``."""

    accepted: int = 0
    applied: int = 0
    pending: int = 0
    in_flight: int = 0
    unknown: int = 0
    dropped: int = 0
    unknown_positive: int = 0
    unknown_negative: int = 0


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """
    The account of a whole aggregator at one instant.

    ``increments`` counts calls, ``coalescing`` is increments per statement, ``oldest_pending_s`` an upper bound (rows
    carry no time of their own: it is the time since the buffer was last seen without them).
    """

    accepted: int
    applied: int
    pending: int
    in_flight: int
    unknown: int
    dropped: int
    increments: int
    rows_pending: int
    statements: int
    flushes: int
    flush_errors: int
    coalescing: float
    oldest_pending_s: float
    last_flush_s: float | None
    journal_bytes: int
    state: str
    last_error: str | None
    retry_in_s: float | None
    tables: dict[str, dict[str, ColumnStats]]


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """
    Deltas of one row whose writes may or may not have been applied, merged; hand it to ``resolve()``.

    ``at`` is when the first of them was parked, ``times`` how many writes they stand for, ``reason`` the last one's.
    """

    table: str
    key: dict[str, Any]
    deltas: dict[str, int]
    at: datetime
    times: int
    reason: str
    version: int = 0
    connection: str = "default"


class Rejected(Unknown, frozen=True, kw_only=True):
    """Deltas of one row that the database refused for what it is: a dead letter."""


class HotKey(msgspec.Struct, frozen=True, kw_only=True):
    """
    One of the hottest rows of the last minutes.

    ``increments`` is estimated from units: what the row gained in the counter that grows fastest around it, which is
    the number of calls where each adds one to it.
    """

    table: str
    key: dict[str, Any]
    increments: int
