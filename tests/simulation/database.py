"""
What databases hold: counters that add, and cells of which the last write wins.

Rules that live here:

* Statements are understood by their shape. Cells win by timestamp; of equal ones the larger raw bytes, as Cassandra
  has it. A deletion shadows every write of its timestamp and below, whenever it arrives.
* Each write of an exact table is checked as it arrives: no pair of a row and a timestamp is seen with two totals, and
  where nothing is ever subtracted, a later write never holds less.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from coodie.statement import Batch, CounterUpdate, Delete, Insert, Rows, Select, Shape

_MASK = 2**64 - 1


class Violation(AssertionError):
    """A promise was broken."""


@dataclass
class WriterRow:
    """One writer's row of an exact table."""

    cells: dict[str, tuple[int, int]] = field(default_factory=dict)  # column -> total, timestamp
    deleted: int = -1  # timestamp
    written: dict[int, tuple[int, ...]] = field(default_factory=dict)  # timestamp -> totals

    def visible(self) -> dict[str, tuple[int, int]]:
        return {name: cell for name, cell in self.cells.items() if cell[1] > self.deleted}


class Database:
    """One database."""

    def __init__(self, *, only_grows: bool) -> None:
        self.native: dict[tuple[str, tuple[Any, ...]], dict[str, int]] = {}
        self.exact: dict[tuple[str, tuple[Any, ...], str], WriterRow] = {}
        self.marks: dict[str, dict[int, list[tuple[int, int]]]] = {}
        self._only_grows = only_grows

    # --- writing ----------------------------------------------------------------------------------------------

    def apply(self, shape: Shape, values: tuple[Any, ...]) -> None:
        if isinstance(shape, CounterUpdate):
            count = len(shape.columns)
            row = self.native.setdefault((shape.table.full_name, values[count:]), {})
            for name, delta in zip(shape.columns, values[:count], strict=True):
                row[name] = row.get(name, 0) + delta
        elif isinstance(shape, Insert):
            self._insert(shape, values)
        elif isinstance(shape, Delete):
            row = self._row(shape.table, values[1:])
            row.deleted = max(row.deleted, values[0])
        elif isinstance(shape, Batch):
            for each in shape.shapes:
                count = len(each.columns) + 1 if isinstance(each, Insert) else len(each.where) + 1
                self.apply(each, values[:count])
                values = values[count:]
        else:
            raise NotImplementedError(f"no write: {shape}")

    def _row(self, table: Any, key: tuple[Any, ...]) -> WriterRow:
        return self.exact.setdefault((table.full_name, key[:-1], key[-1]), WriterRow())

    def _insert(self, shape: Insert, values: tuple[Any, ...]) -> None:
        count = len(shape.table.primary_key)
        row, totals, at = self._row(shape.table, values[:count]), values[count:-1], values[-1]
        if row.written.setdefault(at, totals) != totals:
            raise Violation(f"timestamp {at} of {values[:count]} with {totals} and with {row.written[at]}")
        for name, total in zip(shape.columns[count:], totals, strict=True):
            found = row.cells.get(name)
            if found is not None and self._only_grows and at > max(found[1], row.deleted) and total < found[0]:
                raise Violation(f"{name} of {values[:count]} falls from {found[0]} to {total}")
            if found is None or (at, total & _MASK) > (found[1], found[0] & _MASK):
                row.cells[name] = (total, at)

    def mark(self, writer: str, flush: int, run: tuple[int, int]) -> None:
        self.marks.setdefault(writer, {}).setdefault(flush, []).append(run)

    # --- reading ----------------------------------------------------------------------------------------------

    def select(self, shape: Select, values: tuple[Any, ...]) -> Rows:
        """Answer what ``coodie.plans.exact`` asks: one writer's row, its rows, or the writers."""
        table = shape.table.full_name
        if len(shape.where) == len(shape.table.primary_key):
            found = self.exact.get((table, values[:-1], values[-1]), WriterRow()).visible()
            return Rows([_answer(shape, found, values)] if found else [])
        rows = [
            _answer(shape, row.visible(), (*key, writer))
            for (name, key, writer), row in self.exact.items()
            if name == table and row.visible() and (not values or values == (writer,))
        ]
        return Rows(rows)

    def total(self, table: str, key: tuple[Any, ...], column: str) -> int:
        """Return what a row holds in all."""
        found = self.native.get((table, key), {}).get(column, 0)
        for (name, row_key, _writer), row in self.exact.items():
            if (name, row_key) == (table, key):
                found += row.visible().get(column, (0, 0))[0]
        return found


def _answer(shape: Select, found: dict[str, tuple[int, int]], key: tuple[Any, ...]) -> dict[str, Any]:
    answer = {column.name: value for column, value in zip(shape.table.primary_key, key, strict=True)}
    for column in shape.table.columns:
        if not column.is_key:
            total, at = found.get(column.name, (None, None))
            answer |= {column.name: total, f"writetime({column.name})": at}
    names = [f"writetime({one.column})" if one.function else one.column for one in shape.columns]
    return {name: answer[name] for name in names}
