"""
What a slot holds, row by row, without owning it: for those who compare it, or look for the hottest rows.

Rules that live here: as in ``reading``: nothing is leased or changed, and of a slot that is alive the figures are of
about one moment. Where the arrays have not followed the log yet, the log counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from aggregator.core.parked import Entry
from aggregator.core.taken import Base, Key
from aggregator.journal.reading import Reading, read_slot
from aggregator.journal.records import TableRecord
from aggregator.journal.replay import Recovered, read
from aggregator.journal.state import APPLIED


class Cell(NamedTuple):
    """
    One column of a row, in units: what was counted in it, how much of that is settled, and how much was sent.

    Of an exact table, ``total`` is what this writer writes and ``settled`` what it has written; ``sent`` is
    ``settled``.
    """

    total: int
    settled: int
    sent: int


class Row(NamedTuple):
    """A row: its key as ``aggregator.core`` has it, its columns, and whether its totals are all that was stored."""

    key: Key
    cells: dict[str, Cell]
    is_known: bool


@dataclass(frozen=True)
class Holdings:
    """What a slot holds of one table; ``late``, ``unknown`` and ``rejected`` by key."""

    record: TableRecord
    writer: str | None
    rows: list[Row]
    late: Mapping[Key, Mapping[str, int]]
    unknown: Mapping[Key, Entry]
    rejected: Mapping[Key, Entry]

    @property
    def name(self) -> str:
        """The table's name, with its keyspace where it has one."""
        return f"{self.record.keyspace}.{self.record.name}" if self.record.keyspace else self.record.name

    def named(self, key: Key) -> dict[str, Any]:
        """Return the values of a key by column name."""
        return dict(zip(key_columns(self.record), self.key_values(key), strict=True))

    def key_values(self, key: Key) -> tuple[Any, ...]:
        """Return the values of a key in key order."""
        return key if len(key_columns(self.record)) > 1 else (key,)


def key_columns(record: TableRecord) -> list[str]:
    """Return the names of the key's columns in key order."""
    partition = sorted((place, name) for name, _, place, _, _, _ in record.columns if place is not None)
    clustering = sorted((place, name) for name, _, _, place, _, _ in record.columns if place is not None)
    return [name for _, name in (*partition, *clustering)]


def holdings(slot: Path) -> list[Holdings]:
    """
    Return what the folder of a slot holds, table by table.

    Raises:
        JournalError: it cannot be read or trusted; says why.
    """
    found = read_slot(slot)
    state = found.array("state")
    tables, _last = read(found, state[APPLIED] if state else 0)
    return [
        Holdings(table.record, table.writer, list(_rows(found, table)), dict(table.late), table.unknown, table.rejected)
        for table in tables
    ]


def _rows(found: Reading, table: Recovered) -> Iterator[Row]:
    record = table.record
    columns = {
        name: _cells(found, f"t{record.number}.c{index}", table.keys, counters=record.counters)
        for index, name in enumerate(record.arrays)
    }
    for slot, name, total, settled in table.values:  # told, and not stored
        if slot in table.keys:
            before = columns[name][slot]
            columns[name][slot] = Cell(before.total if total is None else total, settled, settled)
    for slot, key in table.keys.items():
        is_known = table.bases.get(slot, Base.KNOWN) == Base.KNOWN and key not in table.folds
        yield Row(key, {name: cells[slot] for name, cells in columns.items()}, is_known)


def _cells(found: Reading, prefix: str, slots: Iterable[int], *, counters: str) -> dict[int, Cell]:
    total, (settled, sent) = found.array(f"{prefix}.total"), found.watermarks(prefix)
    sent = settled if counters == "exact" else sent

    def at(array: memoryview[int], slot: int) -> int:
        return array[slot] if slot < len(array) else 0

    return {slot: Cell(at(total, slot), at(settled, slot), at(sent, slot)) for slot in slots}
