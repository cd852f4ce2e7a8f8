"""
SELECT: its text, cached by shape, and running it, a page at a time where asked.

Rules that live here:

* Rows come in the order of the primary key (clustering columns in their own direction, all reversed where what is
  asked for is the reverse of it), after any order asked for; so
  the rows of one partition come as Cassandra gives them, and every order is total. Groups of a key come in its order;
  other aggregates have no order.
* GROUP BY without an aggregate answers the first row of each group, PER PARTITION LIMIT the first few of each
  partition: rows are numbered within them, in the order of the answer.
* Filtering on any column works without an index; what SQLite cannot do is refused by name.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from coodie.drivers.pages import sealed, unsealed
from coodie.drivers.sqlite.answers import Decode, aggregates, answer, decoder
from coodie.drivers.sqlite.filtering import refusal
from coodie.drivers.sqlite.names import column_of, listed, quoted, table_name, unsupported
from coodie.drivers.sqlite.paging import Order, Position, after, after_values, packed, unpacked
from coodie.drivers.sqlite.where import placed, sizes, where, where_values
from coodie.exceptions import InvalidQueryError, Rejected, RowRejected
from coodie.schema import Table
from coodie.statement import Rows, Select, Selected, Statement

Decoders = Sequence[tuple[str, Decode]]

_PLACE = "`_place`"
"""The number of a row within its group or partition; no field of a model can have such a name."""


@dataclass(frozen=True, slots=True)
class _Query:
    """The text of a SELECT in its parts, the names of its answers, and how they are read."""

    names: tuple[str, ...]
    decoders: Decoders
    head: str
    tail: str
    order: Order
    refusal: str | None

    def text(self, position: Position) -> str:
        """Return the statement for a page that begins at a position."""
        begin = f" AND {after(self.order)}" if position.after else ""
        return f"{self.head}{begin}{self.tail}"


def run(connection: sqlite3.Connection, shape: Select, statement: Statement) -> Rows:
    """Answer a SELECT: every row, or one page of at most ``fetch_size``."""
    terms, given = shape.where, statement.values
    query = _compiled(shape, sizes(terms, given[: len(terms)]))
    if query.refusal is not None:
        raise Rejected(f"Cannot read table {shape.table.name}: {query.refusal}", statement=statement.cql)
    position = unpacked(unsealed(statement), len(query.order))
    left = _limit("LIMIT", given[-1]) if shape.limited and not statement.paging_state else position.left
    ask, page = _asked(statement.fetch_size, left)
    values = where_values(shape.table, terms, given[: len(terms)])
    if shape.per_partition_limited:
        values.append(_limit("PER PARTITION LIMIT", given[len(terms)]))
    if position.after:
        values += after_values(query.order, list(position.after))
    found = connection.execute(query.text(position), [*values, ask, position.skipped]).fetchall()
    # not strict: the columns of a page's position come last
    rows = [_read(shape.table, dict(zip(query.names, one, strict=False)), query.decoders) for one in found[:page]]
    if page is None or len(found) <= page or not _has_pages(shape):
        return Rows(rows)
    last = list(found[page - 1][len(query.names) :])
    following = Position(last, 0 if query.order else position.skipped + page, None if left is None else left - page)
    return sealed(Rows(rows, packed(following)), statement)


def _limit(what: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidQueryError(f"{what} takes an int of at least 1; nothing was sent")
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
    return [(name, how) for name in names if (how := decoder(column_of(table, name))) is not None]


def _read(table: Table, row: dict[str, Any], decoders: Decoders) -> dict[str, Any]:
    for name, decode in decoders:
        if row[name] is not None:
            try:
                row[name] = decode(row[name])
            except (TypeError, ValueError, ArithmeticError) as error:
                raise RowRejected(f"Table {table.name} holds a {name!r} that is not of the column's type") from error
    return row


def _has_pages(shape: Select) -> bool:
    return bool(shape.group_by) or not any(map(aggregates, shape.columns))


@lru_cache(maxsize=1024)
def _compiled(shape: Select, counts: tuple[int, ...]) -> _Query:
    """Return the query of a shape whose ``IN`` terms have these numbers of alternatives."""
    table = shape.table
    columns = shape.columns or tuple(Selected(column.name) for column in table.columns)
    many = any(map(aggregates, columns))
    _refuse_mixed(shape, columns, many)
    answers = [answer(table, selected) for selected in columns]
    order = () if shape.distinct or (many and not shape.group_by) else _order(shape, many)
    hidden = [quoted(column.name) for column, _ in order]
    select = "SELECT DISTINCT" if shape.distinct else "SELECT"
    return _Query(
        tuple(name for name, _, _ in answers),
        tuple((name, decode) for name, _, decode in answers if decode is not None),
        f"{select} {', '.join([text for _, text, _ in answers] + hidden)} FROM {_source(shape, counts, order, many)}",
        _tail(shape, columns, order, many),
        order,
        refusal(shape),
    )


def _refuse_mixed(shape: Select, columns: Sequence[Selected], many: bool) -> None:
    """Refuse what has no one meaning beside an aggregate, or what SQLite would answer with any row's value."""
    if shape.per_partition_limited and (many or shape.distinct or shape.group_by):
        raise unsupported("PER PARTITION LIMIT with an aggregate, DISTINCT or GROUP BY", "ask without one of the two")
    if many and any(not aggregates(one) and (one.function or one.column not in shape.group_by) for one in columns):
        raise unsupported("column beside an aggregate that is not grouped by", "ask for it in a query of its own")
    if shape.distinct and (shape.group_by or many):
        raise unsupported("DISTINCT with an aggregate or GROUP BY", "ask without one of the two")


def _source(shape: Select, counts: tuple[int, ...], order: Order, many: bool) -> str:
    """Return the rows of a SELECT: those of the table, or those numbered within what gives only its first ones."""
    table, which = shape.table, where(shape.table, shape.where, counts)
    within = tuple(column.name for column in table.partition_key) if shape.per_partition_limited else shape.group_by
    if many or not within:
        return f"{table_name(table)} WHERE {which}"
    numbered = f"row_number() OVER (PARTITION BY {listed(within)}{_ordered(order)}) AS {_PLACE}"
    last = "?" if shape.per_partition_limited else "1"
    return f"(SELECT *, {numbered} FROM {table_name(table)} WHERE {which}) WHERE {_PLACE} <= {last}"


def _tail(shape: Select, columns: tuple[Selected, ...], order: Order, many: bool) -> str:
    ordering = _ordered(order)
    if shape.distinct:
        ordering = f" ORDER BY {listed([selected.column for selected in columns])}"
    grouped = listed([column_of(shape.table, name).name for name in shape.group_by])
    group = f" GROUP BY {grouped}" if grouped and many else ""
    return f"{group}{ordering} LIMIT ? OFFSET ?"


def _ordered(order: Order) -> str:
    names = [f"{placed(column)}{' DESC' if descending else ''}" for column, descending in order]
    return f" ORDER BY {', '.join(names)}" if names else ""


def _order(shape: Select, many: bool) -> Order:
    """Return a total order: what was asked for, then the rest of the key or group, without what ``=`` already fixes."""
    table, keys = shape.table, shape.table.primary_key
    if many:
        keys = tuple(column_of(table, name) for name in shape.group_by)
    fixed = {term.column for term in shape.where if term.operator == "="}
    asked = [(column_of(table, name), descending) for name, descending in shape.order]
    turned = any(column.descending != descending for column, descending in asked)
    rest = [
        (column, column.descending != (turned and column.partition_index is None))
        for column in keys
        if column.name not in dict(shape.order)
    ]
    return tuple((column, descending) for column, descending in [*asked, *rest] if column.name not in fixed)
