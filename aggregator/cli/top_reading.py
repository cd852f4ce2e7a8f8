"""
The hottest rows at one instant, and what they gained since the instant before.

Rules that live here: rates are of two readings; the sketch behind them forgets what is older than some minutes, so a
count may fall: then there is no rate. Of a journal there are no rates at all: it may be read hours later.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple
from urllib.parse import quote

from aggregator.cli.stats_journal import rows
from aggregator.cli.stats_source import Source
from aggregator.cli.stats_sums import Hot, added, hottest
from aggregator.core.records import Stats

ROWS_MAX = 1_000
ORDERS = {"i": "increments", "s": "per_s", "t": "table", "k": "key"}
"""Key of the keyboard -> the column it sorts by."""


class Line(NamedTuple):
    """One row as it is shown; ``per_s`` None: not known."""

    table: str
    key: str
    increments: int
    per_s: float | None


@dataclass(frozen=True)
class Reading:
    """What was read, and when (s, monotonic); ``stats`` None: from a journal."""

    at: float
    stats: Stats | None
    hot: list[Hot]
    counts: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.counts.update(((hot.table, named(hot)), hot.increments) for hot in self.hot)

    def lines(self, before: Reading | None, order: str, *, reverse: bool) -> list[Line]:
        """Return the rows in the order of a column: numbers from the top, texts from A, or the other way round."""
        found = [Line(*identity, count, self._rate(identity, count, before)) for identity, count in self.counts.items()]
        if order in ("increments", "per_s"):
            return sorted(found, key=lambda line: getattr(line, order) or 0, reverse=not reverse)
        return sorted(found, key=attrgetter(order, "key"), reverse=reverse)

    def _rate(self, identity: tuple[str, str], count: int, before: Reading | None) -> float | None:
        known = before.counts.get(identity) if before else None
        if before is None or known is None or count < known or self.at <= before.at:
            return None
        return (count - known) / (self.at - before.at)

    def per_second(self, name: str, before: Reading | None) -> float | None:
        """Return how fast a count of ``Stats`` grows."""
        if before is None or self.stats is None or before.stats is None or self.at <= before.at:
            return None
        return float(getattr(self.stats, name) - getattr(before.stats, name)) / (self.at - before.at)


def named(hot: Hot) -> str:
    """Return the values of a row's key as people read them."""
    return " ".join(str(value) for value in hot.key.values())


def look(where: Source, n: int, table: str | None) -> Reading:
    """Read the ``n`` hottest rows now."""
    if where.directories:
        held = [[hot] for hot in rows(where.directories, table)]
        return Reading(time.monotonic(), None, hottest(held, n))
    path = f"/top.json?n={n}" + ("" if table is None else f"&table={quote(table, safe='')}")
    stats = added([place.read("/stats.json", Stats) for place in where.endpoints])
    hot = hottest([place.read(path, list[Hot]) for place in where.endpoints], n)
    return Reading(time.monotonic(), stats, hot)
