"""
What several processes say of themselves, put together.

Rules that live here: units and counts add up; of ages the oldest pending and the latest flush count, of states the
worst. A row that is hot in several processes is one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from aggregator.core.records import ColumnStats, Stats

_STATES = ("ok", "stopped", "suspended", "backing_off")  # the better first
_SUMS = (
    "accepted applied pending in_flight unknown dropped increments rows_pending statements flushes flush_errors "
    "journal_bytes"
).split()


class Hot(msgspec.Struct):
    """A hot row, as ``/top.json`` tells it."""

    table: str
    key: dict[str, Any]
    increments: int


def added(parts: Sequence[Stats]) -> Stats:
    """Return the account of several processes as one."""
    if len(parts) == 1:
        return parts[0]
    sums: dict[str, Any] = {name: sum(getattr(part, name) for part in parts) for name in _SUMS}
    return Stats(
        **sums,
        coalescing=sums["increments"] / sums["statements"] if sums["statements"] else 0.0,
        oldest_pending_s=max(part.oldest_pending_s for part in parts),
        last_flush_s=_least(part.last_flush_s for part in parts),
        state=max((part.state for part in parts), key=_STATES.index),
        last_error=next((part.last_error for part in parts if part.last_error), None),
        retry_in_s=_least(part.retry_in_s for part in parts),
        tables=_tables(parts),
    )


def _least(numbers: Any) -> float | None:
    return min((number for number in numbers if number is not None), default=None)


def _tables(parts: Sequence[Stats]) -> dict[str, dict[str, ColumnStats]]:
    tables: dict[str, dict[str, ColumnStats]] = {}
    for part in parts:
        for name, columns in part.tables.items():
            merged = tables.setdefault(name, {})
            for column, account in columns.items():
                merged[column] = _together(merged[column], account) if column in merged else account
    return tables


def _together(one: ColumnStats, other: ColumnStats) -> ColumnStats:
    names = ColumnStats.__struct_fields__
    return ColumnStats(**{name: getattr(one, name) + getattr(other, name) for name in names})


def hottest(parts: Sequence[Sequence[Hot]], n: int) -> list[Hot]:
    """Return the hottest rows of several processes."""
    rows: dict[str, Hot] = {}
    for part in parts:
        for hot in part:
            identity = msgspec.json.encode((hot.table, hot.key), order="sorted").decode()
            known = rows.setdefault(identity, Hot(hot.table, hot.key, 0))
            known.increments += hot.increments
    return sorted(rows.values(), key=lambda hot: -hot.increments)[:n]
