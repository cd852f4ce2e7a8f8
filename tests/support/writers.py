"""
Processes that count in an exact table, as a fold meets them: a leased slot, a buffer, and no thread.

Rules that live here: ``die`` leaves a slot as SIGKILL would; totals are read row by row, without the sums under test.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aggregator.core.buffer import Added
from aggregator.slots import OpenSlot, options_of, own_slot
from coodie.plans import exact
from coodie.run import run
from coodie.schema import Column, Table

Totals = dict[Any, dict[str, int]]


def hits(name: str = "hits", keyspace: str | None = None) -> Table:
    """Return an exact table with two key columns and two counters."""
    columns = (
        Column("site", "text", partition_index=0),
        Column("day", "timestamp", clustering_index=0, descending=True),
        Column("views", "counter", int, counter=True),
        Column("likes", "counter", int, counter=True),
    )
    table = Table(name, columns, counters="exact")
    return table.qualified(keyspace) if keyspace else table


class Process:
    """One process of an application; takes the lowest free slot of the journal and goes on where it finds it."""

    def __init__(self, journal: Path, table: Table, connection: str = "default") -> None:
        self.slot: OpenSlot = own_slot(options_of(str(journal)))
        self.held = self.slot.buffer.table(connection, table, ("views", "likes"))

    @property
    def writer(self) -> str:
        """Whom it writes as."""
        assert self.held.writer is not None
        return self.held.writer

    def add(self, key: Any, **deltas: int) -> None:
        """Increment a row."""
        assert self.slot.buffer.add(self.held, key, deltas) is Added.ADDED

    def flush(self) -> None:
        """Write what it has; everything must be taken."""
        self.slot.write()
        assert not self.slot.errors, self.slot.errors

    def die(self) -> None:
        """Leave the slot as it is."""
        die(self.slot)


def die(slot: OpenSlot) -> None:
    """Let go of a slot without a word, as a killed process does."""
    slot.keeping.files.close()
    slot.keeping.lease.close()


def put(driver: Any, table: Table, key: tuple[Any, ...], writer: str, timestamp: int, **totals: int) -> None:
    """Store a writer's totals of a row."""
    statement = exact.write(table, tuple(totals))
    names = [column.name for column in table.counter_columns if column.name in totals]
    driver.submit(statement.with_values((*key, writer, *(totals[name] for name in names), timestamp)))


def stored(driver: Any, table: Table) -> tuple[Totals, dict[str, int]]:
    """Return the sums by key, and how many rows each writer has."""
    sums: Totals = {}
    rows: dict[str, int] = {}
    for writer in run(exact.writers(table), driver):
        found = run(exact.rows_of(table, writer), driver)
        rows[writer] = len(found)
        for key, own in found:
            values = tuple(map(table.key_value, table.primary_key, key))
            for name, (total, _written) in own.items():
                row = sums.setdefault(values, {})
                row[name] = row.get(name, 0) + total
    return sums, rows
