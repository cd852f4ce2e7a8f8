"""A real embedded store in memory, a model on each face, and a driver that can be made to fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import aggregator
from aggregator.afterwards import Afterwards
from coodie import counters, drivers
from coodie.drivers.sqlite import SQLiteDriver
from coodie.statement import Rows, Select, Statement
from coodie.testing import Fault, FaultyDriver
from tests.support.models import PageHits
from tests.unit.aggregator.exact import DailyHits, ExactHits


class Watched(FaultyDriver):
    """Remember what is read."""

    def __init__(self, driver: SQLiteDriver, choose: Callable[[Statement], Fault]) -> None:
        super().__init__(driver, choose)
        self.reads: list[Statement] = []

    def submit(self, statement: Statement) -> Rows:
        if isinstance(statement.shape, Select):
            self.reads.append(statement)
        return super().submit(statement)


class Store:
    """The embedded store behind a driver whose faults a test chooses; none by default."""

    def __init__(self) -> None:
        self.real = SQLiteDriver(":memory:")
        self.faults: Callable[[Statement], Fault] = lambda _statement: Fault.NONE
        self.statements: list[Statement] = []
        self.driver = Watched(self.real, self._choose)

    def _choose(self, statement: Statement) -> Fault:
        self.statements.append(statement)
        return self.faults(statement)

    def own_reads(self) -> list[Any]:
        """Return the keys of the own rows that were read, each time."""
        reads = [read for read in self.driver.reads if "writetime" in read.cql.lower()]
        return [read.values[0] if len(read.values) == 2 else read.values[:-1] for read in reads]

    def serve_real(self) -> None:
        """Have the embedded store itself be the connection: with its marks, and without faults."""
        drivers._registry.clear()
        drivers.register_driver("default", self.real, default=True)

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
    if isinstance(counters.sink, Afterwards):  # exact tables: it would stay until the process ends
        counters.sink.close()
    assert counters.sink is None
    drivers._registry.clear()
    made.real.close()


@pytest.fixture
def exact_store(store: Store) -> Store:
    """Give a store with the exact tables."""
    ExactHits.sync_table()
    DailyHits.sync_table()
    return store


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Give the place of a journal that is not there yet."""
    return tmp_path / "journal"


def identity(stats: Any) -> bool:
    """Return whether the account adds up, in all and per table and column."""
    columns = [column for table in stats.tables.values() for column in table.values()]
    return all(
        one.accepted == one.applied + one.pending + one.in_flight + one.unknown + one.dropped
        for one in [stats, *columns]
    )
