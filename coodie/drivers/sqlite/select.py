"""
SELECT: its text, cached by shape, and running it, a page at a time where asked.

Rules that live here:

* Rows come in the order of the primary key (clustering columns in their own direction), after any order asked for; so
  the rows of one partition come as Cassandra gives them, and every order is total. Groups of a key come in its order;
  other aggregates have no order.
* Answers are named as Cassandra names them: ``count``, ``system.max(views)``, ``cast(views as text)``.
* Filtering on any column works without an index; what SQLite cannot do is refused by name.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from coodie.drivers.sqlite.collections import storage
from coodie.drivers.sqlite.names import WRITTEN_AT, column_of, quoted, table_name, unsupported
from coodie.drivers.sqlite.paging import Order, Position, after, after_values, packed, unpacked
from coodie.drivers.sqlite.where import collated, sizes, where, where_values
from coodie.exceptions import InvalidQueryError, RowRejected
from coodie.schema import Column, Table
from coodie.statement import Rows, Select, Selected, Statement

Decode = Callable[[Any], Any]
Decoders = Sequence[tuple[str, Decode]]

_AGGREGATES = ("count", "sum", "avg", "min", "max")
_WHOLE = ("tinyint", "smallint", "int", "bigint", "counter")
_CASTS = {"text": "TEXT", "ascii": "TEXT", "float": "REAL", "double": "REAL", **dict.fromkeys(_WHOLE, "INTEGER")}


@dataclass(frozen=True, slots=True)
class _Query:
    """The text of a SELECT in its parts, the names of its answers, and how they are read."""

    names: tuple[str, ...]
    decoders: Decoders
    head: str
    tail: str
    order: Order

    def text(self, position: Position) -> str:
        """Return the statement for a page that begins at a position."""
        begin = f" AND {after(self.order)}" if position.after else ""
        return f"{self.head}{begin}{self.tail}"


def run(connection: sqlite3.Connection, shape: Select, statement: Statement) -> Rows:
    """Answer a SELECT: every row, or one page of at most ``fetch_size``."""
    terms, given = shape.where, statement.values
    query = _compiled(shape, sizes(terms, given[: len(terms)]))
    position = unpacked(statement.paging_state, len(query.order))
    left = _limit(given[-1]) if shape.limited and not statement.paging_state else position.left
    ask, page = _asked(statement.fetch_size, left)
    values = where_values(shape.table, terms, given[: len(terms)])
    if position.after:
        values += after_values(query.order, list(position.after))
    found = connection.execute(query.text(position), [*values, ask, position.skipped]).fetchall()
    # not strict: the columns of a page's position come last
    rows = [_read(shape.table, dict(zip(query.names, one, strict=False)), query.decoders) for one in found[:page]]
    if page is None or len(found) <= page or not _has_pages(shape):
        return Rows(rows)
    last = list(found[page - 1][len(query.names) :])
    following = Position(last, 0 if query.order else position.skipped + page, None if left is None else left - page)
    return Rows(rows, packed(following))


def _limit(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidQueryError("LIMIT takes an int of at least 1; nothing was sent")
    return value


def _asked(fetch_size: int | None, left: int | None) -> tuple[int, int | None]:
    """Return how many rows to fetch (-1: all), one more than a page to see whether another follows, and the page."""
    if fetch_size is None:
        return (-1 if left is None else left), None
    if fetch_size < 1:
        raise InvalidQueryError(f"fetch_size={fetch_size}: a page takes at least 1 row; nothing was sent")
    return (fetch_size + 1 if left is None else min(fetch_size + 1, left)), fetch_size


def decoded(table: Table, names: Sequence[str], found: Sequence[Any]) -> dict[str, Any]:
    """Return stored values of whole columns as a row of the declared types."""
    return _read(table, dict(zip(names, found, strict=True)), _decoders(table, names))


def _decoders(table: Table, names: Sequence[str]) -> Decoders:
    return [(name, how) for name in names if (how := storage(column_of(table, name).cql_type).decode) is not None]


def _read(table: Table, row: dict[str, Any], decoders: Decoders) -> dict[str, Any]:
    for name, decode in decoders:
        if row[name] is not None:
            try:
                row[name] = decode(row[name])
            except (TypeError, ValueError, ArithmeticError) as error:
                raise RowRejected(f"Table {table.name} holds a {name!r} that is not of the column's type") from error
    return row


def _has_pages(shape: Select) -> bool:
    return bool(shape.group_by) or not any(_aggregates(one) for one in shape.columns)


def _aggregates(selected: Selected) -> bool:
    return selected.function in _AGGREGATES


@lru_cache(maxsize=1024)
def _compiled(shape: Select, counts: tuple[int, ...]) -> _Query:
    """Return the query of a shape whose ``IN`` terms have these numbers of alternatives."""
    if shape.per_partition_limited:
        raise unsupported("PER PARTITION LIMIT", "ask partition by partition")
    table = shape.table
    columns = shape.columns or tuple(Selected(column.name) for column in table.columns)
    answers = [_answer(table, selected) for selected in columns]
    order = () if shape.distinct or (any(map(_aggregates, columns)) and not shape.group_by) else _order(shape)
    hidden = [quoted(column.name) for column, _ in order]
    select = "SELECT DISTINCT" if shape.distinct else "SELECT"
    head = f"{select} {', '.join([text for _, text, _ in answers] + hidden)} FROM {table_name(table)}"
    return _Query(
        tuple(name for name, _, _ in answers),
        tuple((name, decode) for name, _, decode in answers if decode is not None),
        f"{head} WHERE {where(table, shape.where, counts)}",
        _tail(shape, columns, order),
        order,
    )


def _tail(shape: Select, columns: tuple[Selected, ...], order: Order) -> str:
    names = [f"{collated(column)}{' DESC' if descending else ''}" for column, descending in order]
    if shape.distinct:
        names = [quoted(selected.column) for selected in columns]
    grouped = ", ".join(quoted(column_of(shape.table, name).name) for name in shape.group_by)
    group = f" GROUP BY {grouped}" if grouped else ""
    ordering = f" ORDER BY {', '.join(names)}" if names else ""
    return f"{group}{ordering} LIMIT ? OFFSET ?"


def _order(shape: Select) -> Order:
    """Return a total order: what was asked for, then the rest of the key or group, without what ``=`` already fixes."""
    table, keys = shape.table, shape.table.primary_key
    if shape.group_by:
        keys = tuple(column_of(table, name) for name in shape.group_by)
    fixed = {term.column for term in shape.where if term.operator == "="}
    asked = [(column_of(table, name), descending) for name, descending in shape.order]
    rest = [(column, column.descending) for column in keys if column.name not in dict(shape.order)]
    return tuple((column, descending) for column, descending in [*asked, *rest] if column.name not in fixed)


def _answer(table: Table, selected: Selected) -> tuple[str, str, Decode | None]:
    """Return the name of one answer, its SQL text, and how it is read."""
    if selected.column == "*":
        return "count", "count(*)", None
    column = column_of(table, selected.column)
    how = storage(column.cql_type)
    if (selected.function, selected.cast) == ("sum", "varint") and column.cql_type in _WHOLE:
        return _exact_sum(column)
    if selected.cast and not selected.function:
        return _cast(column, selected.cast)
    if selected.function is None:
        return column.name, quoted(column.name), how.decode
    if selected.function == "writetime" and table.per_writer and not column.is_key:
        written = f"CASE WHEN {quoted(column.name)} IS NOT NULL THEN {quoted(WRITTEN_AT)} END"
        return f"writetime({column.name})", written, None
    if selected.cast:
        raise unsupported(f"{selected.function}() of a CAST", "convert the values in Python")
    return _aggregate(column, selected.function)


def _cast(column: Column, cql_type: str) -> tuple[str, str, Decode | None]:
    target = _CASTS.get(cql_type.lower())
    if target is None or storage(column.cql_type).decode is not None:
        raise unsupported(f"CAST of {column.cql_type} as {cql_type}", "convert the value in Python")
    return (f"cast({column.name} as {cql_type})", f"CAST({quoted(column.name)} AS {target})", None)


def _exact_sum(column: Column) -> tuple[str, str, Decode | None]:
    """Return the sum of integers as a number of any size: SQLite's own fails beyond 64 bits, so halves are summed."""
    name = quoted(column.name)
    text = f"sum({name} >> 32) || ' ' || sum({name} & 4294967295)"
    return f"system.sum(cast({column.name} as varint))", text, _joined


def _joined(halves: str) -> int:
    high, low = halves.split(" ")
    return (int(high) << 32) + int(low)


def _aggregate(column: Column, function: str) -> tuple[str, str, Decode | None]:
    name, how = quoted(column.name), storage(column.cql_type)
    answer = f"system.{function}({column.name})"
    if function not in _AGGREGATES:
        raise unsupported(f"{function}()")
    if function == "count":
        return answer, f"count({name})", None
    if function in ("min", "max"):
        return answer, f"{function}({collated(column)})", how.decode
    if how.sql_type == "TEXT" or how.decode is not None:
        raise unsupported(f"{function}() of {column.cql_type}", "add up in Python")
    whole = column.cql_type in _WHOLE and function == "avg"
    text = f"coalesce({function}({name}), 0)"
    return answer, (f"CAST({text} AS INTEGER)" if whole else text), None
