"""
What a database may hold after a fault, given what was accepted: Jepsen's rule for counters, row by row.

Rules that live here:

* Asked when nothing is pending or in flight any more. Then a row's account is accepted = applied + unknown + dropped.
* Native tables: a delta of unknown fate may or may not be stored, so
  ``applied + unknown_negative <= stored <= applied + unknown_positive``. For a row that only grew, or only fell, that
  is exact; of a row that did both ``Aggregator.unknown()`` tells the net delta alone, so such rows are judged by the
  sums of their column.
* Exact tables: stored is what was accepted, no more and no less, and nothing is unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aggregator import Aggregator

MOST_SHOWN = 5


@dataclass(frozen=True)
class Bounds:
    """The least and the most a row may hold."""

    least: int
    most: int

    def allow(self, stored: int) -> bool:
        """Return whether a stored total is possible."""
        return self.least <= stored <= self.most


def bounds(accepted: int, unknown: int) -> Bounds:
    """Return what a row may hold whose deltas all had one sign: its unknown ones are stored or not."""
    applied = accepted - unknown
    return Bounds(applied + min(unknown, 0), applied + max(unknown, 0))


def unknown_by_row(aggregator: Aggregator, table: str, column: str) -> Counter[str]:
    """Return the parked net delta of each row of a table, by the first value of its key."""
    parked: Counter[str] = Counter()
    for item in aggregator.unknown():
        if item.table == table:
            parked[next(iter(item.key.values()))] += item.deltas.get(column, 0)
    return parked


def check_native(
    accepted: Mapping[str, int], stored: Mapping[str, int], unknown: Mapping[str, int], mixed: Iterable[str] = ()
) -> None:
    """Judge each row by its bounds; ``mixed`` rows both grew and fell, and are left to ``check_column``."""
    skipped = set(mixed)
    wrong = []
    for row in sorted({*accepted, *stored} - skipped):
        allowed = bounds(accepted.get(row, 0), unknown.get(row, 0))
        if not allowed.allow(stored.get(row, 0)):
            wrong.append(f"{row}: stored {stored.get(row, 0)}, allowed {allowed.least}..{allowed.most}")
    assert not wrong, f"{len(wrong)} row(s) out of bounds: {'; '.join(wrong[:MOST_SHOWN])}"


def check_column(aggregator: Aggregator, table: str, column: str, stored: int) -> None:
    """Judge the sum of a column of a native table by the aggregator's own account of it."""
    account = aggregator.stats().tables[table][column]
    allowed = Bounds(account.applied + account.unknown_negative, account.applied + account.unknown_positive)
    assert allowed.allow(stored), f"{table}.{column}: stored {stored}, allowed {allowed.least}..{allowed.most}"


def check_exact(accepted: Mapping[str, int], stored: Mapping[str, int]) -> None:
    """Judge each row of an exact table: equality."""
    wrong = [
        f"{row}: stored {stored.get(row, 0)}, accepted {accepted.get(row, 0)}"
        for row in sorted({*accepted, *stored})
        if stored.get(row, 0) != accepted.get(row, 0)
    ]
    assert not wrong, f"{len(wrong)} row(s) are not exact: {'; '.join(wrong[:MOST_SHOWN])}"


def check_identity(aggregator: Aggregator, accepted: Mapping[str, int] | None = None) -> None:
    """Judge the account: it adds up in all and per table and column, and says what was really accepted, by table."""
    stats = aggregator.stats()
    accounts: list[Any] = [stats, *(column for table in stats.tables.values() for column in table.values())]
    for account in accounts:
        found = account.applied + account.pending + account.in_flight + account.unknown + account.dropped
        assert account.accepted == found, account
    for table, units in (accepted or {}).items():
        assert sum(column.accepted for column in stats.tables[table].values()) == units, table
