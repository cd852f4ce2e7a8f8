"""A real embedded store in memory, a model on each face, and a driver that can be made to fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import aggregator
from coodie import counters, drivers
from coodie.drivers.sqlite import SQLiteDriver
from coodie.statement import Statement
from coodie.testing import Fault, FaultyDriver
from tests.support.models import PageHits


class Store:
    """The embedded store behind a driver whose faults a test chooses; none by default."""

    def __init__(self) -> None:
        self.real = SQLiteDriver(":memory:")
        self.faults: Callable[[Statement], Fault] = lambda _statement: Fault.NONE
        self.statements: list[Statement] = []
        self.driver = FaultyDriver(self.real, self._choose)

    def _choose(self, statement: Statement) -> Fault:
        self.statements.append(statement)
        return self.faults(statement)

    def stored(self) -> dict[str, dict[str, int]]:
        """Return what the database holds, by url, zeros left out."""
        rows = {row.url: {"views": row.views, "unique_visitors": row.unique_visitors} for row in PageHits.find()}
        return {url: {name: n for name, n in row.items() if n} for url, row in rows.items() if any(row.values())}


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store()
    drivers._registry.clear()
    drivers.register_driver("default", made.driver, default=True)
    PageHits.sync_table()
    yield made
    started = aggregator.current()
    if started is not None:
        started.shutdown()
    assert counters.sink is None
    drivers._registry.clear()
    made.real.close()


def identity(stats: Any) -> bool:
    """Return whether the account adds up, in all and per table and column."""
    columns = [column for table in stats.tables.values() for column in table.values()]
    return all(
        one.accepted == one.applied + one.pending + one.in_flight + one.unknown + one.dropped
        for one in [stats, *columns]
    )
