"""
Adding deltas to many counter rows by few statements.

Rules that live here:

* Rows go as one multi-row upsert of up to ``ROWS_MAX`` rows, all values bound: the interpreter's lock is given up and
  won back once per statement, not once per row, and bound values are exact for every key there is (JSON text, the other
  way to hand over many rows at once, is cut at NUL by SQLite and takes no blobs; it was also a third slower).
* Statements come in sizes that are powers of two, so a connection prepares few; a shorter rest is filled with deltas of
  0 for its last key, which change nothing.
* A sum beyond 64 bits is an error of the STRICT column, never a REAL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

from coodie.drivers.sqlite.collections import storage
from coodie.drivers.sqlite.names import column_of, listed, quoted, table_name
from coodie.drivers.sqlite.values import Storage, encode
from coodie.exceptions import InvalidQueryError
from coodie.schema import Column
from coodie.statement import CounterUpdate, Insert

ROWS_MAX = 4096
VALUES_MAX = 32_766
"""SQLite's own default limit of values in one statement."""


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The parts of the upsert of one shape: its columns in the order of its values, and how each is stored."""

    shape: CounterUpdate | Insert
    columns: tuple[Column, ...]
    storages: tuple[Storage, ...]
    rows_max: int

    def encoded(self, rows: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Return the values of rows as stored, one after the other; InvalidQueryError for the first that cannot be."""
        if {len(self.columns)}.issuperset(map(len, rows)):
            values = list(chain.from_iterable(rows))
            if self._is_plain(values):
                return values
        return list(chain.from_iterable(map(self._row, rows)))

    def _is_plain(self, values: list[Any]) -> bool:
        """Return whether every value is stored as it is: by whole columns, in C, as a flush needs it."""
        width = len(self.storages)
        return all({how.plain}.issuperset(map(type, values[at::width])) for at, how in enumerate(self.storages))

    def _row(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        table = self.shape.table
        if len(row) != len(self.columns) or None in row:
            raise InvalidQueryError(
                f"Table {table.name} takes one value for each of {', '.join(c.name for c in self.columns)}, none of "
                "them None; nothing was written"
            )
        parts = zip(self.columns, self.storages, row, strict=True)
        return tuple(encode(table, column, how.encode, value) for column, how, value in parts)


@lru_cache(maxsize=1024)
def layout(shape: CounterUpdate) -> Layout:
    """Return the layout of a shape."""
    columns = (*(column_of(shape.table, name) for name in shape.columns), *shape.table.primary_key)
    rows_max = ROWS_MAX
    while rows_max * len(columns) > VALUES_MAX:
        rows_max //= 2
    return Layout(shape, columns, tuple(storage(column.cql_type) for column in columns), rows_max)


def add(parts: Layout, values: list[Any], connection: sqlite3.Connection) -> None:
    """Add the deltas of encoded rows, inside the caller's transaction."""
    width, deltas = len(parts.columns), len(parts.shape.columns)
    for start in range(0, len(values), parts.rows_max * width):
        some = values[start : start + parts.rows_max * width]
        rows = len(some) // width
        size = 1 << (rows - 1).bit_length()
        some += [*([0] * deltas), *some[deltas - width :]] * (size - rows)
        connection.execute(_text(parts, size), some)


@lru_cache(maxsize=128)
def _text(parts: Layout, size: int) -> str:
    table = parts.shape.table
    keys = [column.name for column in table.primary_key]
    row = f"({', '.join('?' * len(parts.columns))})"
    changes = ", ".join(f"{quoted(name)} = {quoted(name)} + excluded.{quoted(name)}" for name in parts.shape.columns)
    into = f"INSERT INTO {table_name(table)} ({listed([column.name for column in parts.columns])})"
    return f"{into} VALUES {', '.join([row] * size)} ON CONFLICT ({listed(keys)}) DO UPDATE SET {changes}"
