"""
Writing the totals of many rows of an exact table by few statements.

Rules that live here:

* A row has one timestamp for all of its totals, in a column of its own (``WRITTEN_AT``): they are written together.
* A write whose timestamp is not above the stored one changes nothing: that is what Cassandra does with each cell.
* Sizes are powers of two, as in ``counter_rows``; a shorter rest is filled with its last row, which changes nothing.
"""

from __future__ import annotations

import sqlite3
from functools import lru_cache
from typing import Any

from coodie.drivers.sqlite.collections import storage
from coodie.drivers.sqlite.counter_rows import ROWS_MAX, VALUES_MAX, Layout
from coodie.drivers.sqlite.names import WRITTEN_AT, column_of, listed, quoted, table_name
from coodie.exceptions import InvalidQueryError
from coodie.schema import Column
from coodie.statement import Insert


def is_exact(shape: Any) -> bool:
    """Return whether a shape writes totals of a writer: such writes commute, and go many at once."""
    return isinstance(shape, Insert) and shape.table.per_writer


@lru_cache(maxsize=1024)
def layout(shape: Insert) -> Layout:
    """Return the layout of a shape; InvalidQueryError for one that is no write of a writer's totals."""
    keys = {column.name for column in shape.table.primary_key}
    if not keys.issubset(shape.columns) or not shape.timestamp or shape.if_not_exists or shape.ttl:
        raise InvalidQueryError(
            f"A write to the exact table {shape.table.name} takes the whole key, the writer and a timestamp, no "
            "condition and no TTL; nothing was written"
        )
    columns = (*(column_of(shape.table, name) for name in shape.columns), Column(WRITTEN_AT, "bigint"))
    rows_max = ROWS_MAX
    while rows_max * len(columns) > VALUES_MAX:
        rows_max //= 2
    return Layout(shape, columns, tuple(storage(column.cql_type) for column in columns), rows_max)


def put(parts: Layout, values: list[Any], connection: sqlite3.Connection) -> None:
    """Write the totals of encoded rows, inside the caller's transaction."""
    width = len(parts.columns)
    for start in range(0, len(values), parts.rows_max * width):
        some = values[start : start + parts.rows_max * width]
        rows = len(some) // width
        size = 1 << (rows - 1).bit_length()
        some += some[-width:] * (size - rows)
        connection.execute(_text(parts, size), some)


@lru_cache(maxsize=128)
def _text(parts: Layout, size: int) -> str:
    table = parts.shape.table
    names = [column.name for column in parts.columns]
    keys = [column.name for column in table.primary_key]
    row = f"({', '.join('?' * len(names))})"
    changes = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in names if name not in keys)
    into = f"INSERT INTO {table_name(table)} ({listed(names)}) VALUES {', '.join([row] * size)}"
    newer = f"excluded.{quoted(WRITTEN_AT)} > {table_name(table)}.{quoted(WRITTEN_AT)}"
    return f"{into} ON CONFLICT ({listed(keys)}) DO UPDATE SET {changes} WHERE {newer}"
