"""
How long rows and columns live: TTL, and rows that live by their columns alone.

Rules that live here:

* A row that has something to expire has one note in ``coodie_lifetimes``: when each of its columns is over, and when
  its marker is. A row without a note lives until it is deleted: without TTL, no inserted row has one.
* What is over is removed before anything is read or written: no statement meets it, so none has to ask.
* As on Cassandra, INSERT gives a row its marker and UPDATE does not: without one a row is gone with its last column.
* Times are whole seconds since 1970; a column lives while the clock shows less. The clock is the SQL function
  ``coodie_now``, which belongs to the connection.
* A collection lives and ends as one value: what would give single elements a lifetime is refused by name.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any, TypeAlias

import msgspec

from coodie.drivers.sqlite.names import plain_table_name, quoted, unsupported
from coodie.exceptions import InvalidQueryError
from coodie.schema import Table
from coodie.statement import Change, Raw

TTL_MAX = 630_720_000
"""Seconds (20 years), as on Cassandra."""
SWEPT_AT_ONCE = 1_000

_MARKER = ""
_NEVER_MADE = 0
_GROWING = ("append", "prepend", "put")
_OVER = "SELECT table_name, row, cells FROM coodie_lifetimes WHERE next_at <= coodie_now()"
_FOUND = "SELECT cells FROM coodie_lifetimes WHERE table_name = ? AND row = ?"
_KEEP = "INSERT OR REPLACE INTO coodie_lifetimes VALUES (?, ?, ?, ?)"
_FORGET = "DELETE FROM coodie_lifetimes WHERE table_name = ?"
_COLUMNS = "SELECT name, pk FROM pragma_table_info(?) ORDER BY pk"

Cells: TypeAlias = dict[str, int]
"""Column -> second from which on it is over; the marker is under the empty name, 0 for a row that has none."""
Columns: TypeAlias = Callable[[str], tuple[list[str], list[str]]]
"""Name of a table -> its key columns and the others."""


def have(table: Table | None) -> bool:
    """Return whether rows of a table may have lifetimes; True for None, a table that is not known."""
    return table is None or not (table.counter_columns or table.per_writer)


def are_over(connection: sqlite3.Connection, shape: Any) -> bool:
    """Return whether something is to be swept before a statement of this shape."""
    table = getattr(shape, "table", None)
    if not have(table) or (table is None and not isinstance(shape, Raw)):
        return False
    return connection.execute(f"{_OVER} LIMIT 1").fetchone() is not None


def sweep(connection: sqlite3.Connection) -> None:
    """Remove what is over, of at most ``SWEPT_AT_ONCE`` rows, inside the caller's transaction."""
    now, columns = _now(connection), cache(partial(_columns, connection))
    for name, row, cells in connection.execute(f"{_OVER} LIMIT {SWEPT_AT_ONCE}").fetchall():
        left = {column: end for column, end in _parsed(cells).items() if end > now or end == _NEVER_MADE}
        gone = [column for column in _parsed(cells) if column not in left]
        if _MARKER in gone:
            left[_MARKER] = _NEVER_MADE
        keys, others = columns(name)
        _clear(connection, name, row, [column for column in gone if column in others], keys)
        _keep(connection, name, row, left)
        _end(connection, name, row, left, columns)


def seconds(table: Table, given: int | None) -> int:
    """Return the TTL of a write, 0 for none: the one given, else the table's; InvalidQueryError outside its range."""
    ttl = given
    if ttl is None:
        ttl = table.default_ttl if table.default_ttl is not None else dict(table.options).get("default_time_to_live", 0)
    if isinstance(ttl, bool) or not isinstance(ttl, int) or not 0 <= ttl <= TTL_MAX:
        raise InvalidQueryError(f"A TTL is a number of seconds from 0 to {TTL_MAX}, not {ttl!r}; nothing was written")
    return ttl


def inserted(connection: sqlite3.Connection, table: Table, key: list[Any], given: Mapping[str, Any], ttl: int) -> None:
    """Note the lifetime of columns (name -> stored value) that an INSERT wrote, and of the row's marker."""
    name, row = plain_table_name(table), packed(*key)
    found = _found(connection, name, row)
    if not found and not ttl:
        return
    left = {column: end for column, end in found.items() if column not in given and column != _MARKER}
    if ttl:
        written = [column for column, value in given.items() if value is not None]
        left |= dict.fromkeys([_MARKER, *written], _now(connection) + ttl)
    _keep(connection, name, row, left)


def updated(
    connection: sqlite3.Connection,
    table: Table,
    key: list[Any],
    changes: Iterable[tuple[Change, Any]],
    ttl: int,
    *,
    made: bool = False,
) -> None:
    """
    Note the lifetime of columns that changes (each with its stored value) wrote; ``made``: the row was not there.

    Removes the row where it has neither a marker nor a column left. InvalidQueryError for what would give an element of
    a collection a lifetime.
    """
    name, row = plain_table_name(table), packed(*key)
    cells: Cells = {_MARKER: _NEVER_MADE} if made else _found(connection, name, row)
    if not cells and not ttl:
        return
    left = dict(cells)
    until = _now(connection) + ttl
    for change, value in changes:
        if change.operation in _GROWING and value is not None and (ttl or change.column in cells):
            raise unsupported(f"TTL for elements of a collection ({change.column!r})", "replace the whole collection")
        if change.operation in ("set", "clear"):
            left.pop(change.column, None)
            if ttl and value is not None:
                left[change.column] = until
    if left != cells or made:
        _keep(connection, name, row, left)
    _end(connection, name, row, left, partial(_columns, connection))


def forget(connection: sqlite3.Connection, table: Table, which: str = "", values: Sequence[Any] = ()) -> None:
    """Drop the notes of rows that are to be deleted: those of a WHERE clause, else all of the table."""
    name = plain_table_name(table)
    if not which:
        connection.execute(_FORGET, [name])
        return
    rows = f"SELECT {key_text(table)} FROM {quoted(name)} WHERE {which}"
    connection.execute(f"{_FORGET} AND row IN ({rows})", [name, *values])


def packed(*key: Any) -> bytes:
    """Return stored key values as one blob: the SQL function ``coodie_row``."""
    return msgspec.msgpack.encode(key)


def key_text(table: Table) -> str:
    """Return the blob of a row's key as SQL text."""
    return f"coodie_row({', '.join(quoted(column.name) for column in table.primary_key)})"


def left_text(table: Table, column: str) -> str:
    """Return the seconds that a column has left as SQL text; NULL where it has no end, or no value."""
    name = "'" + plain_table_name(table).replace("'", "''") + "'"
    note = f"SELECT cells FROM coodie_lifetimes WHERE table_name = {name} AND row = {key_text(table)}"
    end = f"coodie_end(({note}), '{column.replace(chr(39), chr(39) * 2)}')"
    return f"CASE WHEN {quoted(column)} IS NOT NULL THEN {end} - coodie_now() END"


def end_of(cells: str | None, column: str) -> int | None:
    """Return when a column is over, None for never: the SQL function ``coodie_end``."""
    return _parsed(cells).get(column) if cells else None


def _now(connection: sqlite3.Connection) -> int:
    (now,) = connection.execute("SELECT coodie_now()").fetchone()
    return int(now)


def _parsed(cells: str) -> Cells:
    return msgspec.json.decode(cells, type=Cells)


def _found(connection: sqlite3.Connection, name: str, row: bytes) -> Cells:
    found = connection.execute(_FOUND, [name, row]).fetchone()
    return _parsed(found[0]) if found else {}


def _keep(connection: sqlite3.Connection, name: str, row: bytes, cells: Cells) -> None:
    """Write the note of a row; none where there is nothing to note."""
    if not cells:
        connection.execute(f"{_FORGET} AND row = ?", [name, row])
        return
    ends = [end for end in cells.values() if end != _NEVER_MADE]
    connection.execute(_KEEP, [name, row, msgspec.json.encode(cells).decode(), min(ends, default=None)])


def _end(connection: sqlite3.Connection, name: str, row: bytes, cells: Cells, columns: Columns) -> None:
    """Remove a row and its note where it has neither a marker nor a column."""
    if cells.get(_MARKER) != _NEVER_MADE:
        return
    keys, others = columns(name)
    which = " AND ".join([_equal(keys), *(f"{quoted(column)} IS NULL" for column in others)])
    if not keys or connection.execute(f"DELETE FROM {quoted(name)} WHERE {which}", _unpacked(row)).rowcount:
        connection.execute(f"{_FORGET} AND row = ?", [name, row])


def _clear(connection: sqlite3.Connection, name: str, row: bytes, gone: Sequence[str], keys: Sequence[str]) -> None:
    """Set columns of a row NULL."""
    if gone:
        changes = ", ".join(f"{quoted(column)} = NULL" for column in gone)
        connection.execute(f"UPDATE {quoted(name)} SET {changes} WHERE {_equal(keys)}", _unpacked(row))


def _equal(keys: Sequence[str]) -> str:
    return " AND ".join(f"{quoted(column)} = ?" for column in keys)


def _columns(connection: sqlite3.Connection, name: str) -> tuple[list[str], list[str]]:
    """Return the key columns, in their order, and the others, as the file has them; none: no such table."""
    found = connection.execute(_COLUMNS, [name]).fetchall()
    return [column for column, place in found if place], [column for column, place in found if not place]


def _unpacked(row: bytes) -> list[Any]:
    return list(msgspec.msgpack.decode(row))
