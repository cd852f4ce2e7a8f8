"""
Selections: which columns a query reads, and what its rows are shown as.

Rules that live here:

* Rows are shown as documents, as documents of some fields alone, or as tuples; nulls in tuples as documents show them.
* What a buffer still holds for a counter row is handed in as ``pending`` (None: show what is stored) and added to the
  rows that were read, whose key is read too then. Rows of an exact table are the sums of its writers'.
* Cassandra answers a partition that has static values alone as a row of null clustering columns. That is no row: it is
  left out, but for ``distinct()``. Where it could take a place within a limit, the limit is kept here.
* Limits are bound. The shape of a query for whole rows is made once for each set of terms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import Any, TypeAlias

from coodie.cql import render
from coodie.exceptions import InvalidQueryError
from coodie.model import Model, documents_of, partial_documents, shown_for_null
from coodie.plans import sums
from coodie.query import Query
from coodie.schema import Table
from coodie.statement import Select, Selected, Statement, Term

Row: TypeAlias = dict[str, Any]
Pending: TypeAlias = Callable[[tuple[Any, ...]], Mapping[str, int] | None] | None
View: TypeAlias = Callable[[list[Row]], list[Any]]

_TOKEN = "token()"  # noqa: S105 - where a row keeps its partition's token: no column can be called so


def select(
    table: Table,
    query: Query,
    *,
    limit: int | None = None,
    fetch_size: int | None = None,
    page: bytes | None = None,
    keyed: bool = False,
) -> Statement:
    """Return the SELECT of the rows of a query; ``keyed``: with their whole key, whatever was chosen."""
    limited = limit is not None
    if query.is_plain and table.counters != "exact":
        shape = whole_rows(table, query.terms, query.order, limited, query.allow_filtering)
    else:
        shape = _chosen(table, query, limited, keyed)
    return statement(shape, query, limit, fetch_size, page)


def statement(
    shape: Select, query: Query, limit: int | None = None, fetch_size: int | None = None, page: bytes | None = None
) -> Statement:
    """Return the statement of a shape made for a query."""
    values = query.values
    if shape.per_partition_limited:
        values = (*values, query.per_partition_limit)
    if limit is not None:
        values = (*values, limit)
    return Statement(shape, values, render, query.consistency, query.timeout, fetch_size, page)


def rows_of(table: Table, query: Query, items: list[Row], pending: Pending) -> list[Row]:
    """Return the rows that a :func:`select` brought under the names of their columns, what is pending added."""
    if table.counters == "exact" or query.casts or query.tokens:
        names = [*_fetched(table, query, pending is not None), *_token_name(query)]
        items = [dict(zip(names, row.values(), strict=True)) for row in items]
    named = None if query.distinct else name_in_every_row(table)
    if named is not None:
        items = [row for row in items if row[named] is not None]
    if table.counters == "exact":
        sums.refuse_beyond_64_bits(table, items)
    return items if pending is None or query.distinct else [_added(table, row, pending) for row in items]


def view_of(model: type[Model], table: Table, query: Query) -> View:
    """Return what turns rows into what a query shows; refuse what does not go together."""
    refuse_unfit(table, query)
    if query.as_tuples:
        return partial(_tuples, table, query)
    if query.columns is None and not query.casts and not query.distinct:
        return partial(documents_of, model)
    names, unchecked = shown(table, query), frozenset(dict(query.casts))
    return lambda rows: partial_documents(model, names, rows, unchecked)


def shown(table: Table, query: Query) -> tuple[str, ...]:
    """Return the columns that the rows of a query show."""
    if query.columns is not None:
        return query.columns
    return tuple(column.name for column in (table.partition_key if query.distinct else table.columns))


def refuse_unfit(table: Table, query: Query) -> None:
    """Refuse builders that do not go together, or not with the kind of the table."""
    refuse_unordered(table, query)
    if query.is_plain:
        return
    names = shown(table, query)
    uneven = [name for name in names if not _is_even(table, name)]
    if query.distinct and uneven:
        raise InvalidQueryError(
            f"distinct() gives one row for each partition of {table.name}: only its partition key and static columns, "
            f"not {', '.join(uneven)}"
        )
    unread = [name for name, _ in query.casts if name not in names]
    if unread:
        raise InvalidQueryError(f"cast() of {', '.join(unread)}: not among the columns that are read")
    if table.counters == "exact" and (query.group_by or query.per_partition_limit):
        raise InvalidQueryError(
            f"Rows of the exact table {table.name} are sums over its writers: they take no group_by() and no "
            "per_partition_limit()"
        )


def refuse_unordered(table: Table, query: Query) -> None:
    """Refuse an order over listed partitions: cassandra-driver cannot page through them, and answers nothing."""
    listed = {term.column for term in query.terms if term.operator == "IN"} if query.order else ()
    for column in table.partition_key:
        if column.name in listed:
            raise InvalidQueryError(
                f"order_by() does not go with '{column.name}__in' on a partition key: read partition by partition, or "
                "sort in Python; nothing was sent"
            )


@lru_cache(maxsize=1024)
def name_in_every_row(table: Table) -> str | None:
    """Return the clustering column that tells a row from static values alone; None where a table has no such thing."""
    has_static = any(column.static for column in table.columns)
    return table.clustering[0].name if has_static and table.clustering else None


def limits_here(table: Table, query: Query) -> bool:
    """Return whether a LIMIT would count what is no row: partitions of static values alone, among others."""
    if query.distinct or name_in_every_row(table) is None:
        return False
    fixed = {term.column for term in query.terms if term.operator == "="}
    return not all(column.name in fixed for column in table.partition_key)


@lru_cache(maxsize=4096)
def whole_rows(
    table: Table, terms: tuple[Term, ...], order: tuple[tuple[str, bool], ...], limited: bool, allow_filtering: bool
) -> Select:
    """Return the shape of a query for whole rows: one object for each set of terms."""
    return Select(table, (), terms, order, limited, allow_filtering)


def _chosen(table: Table, query: Query, limited: bool, keyed: bool) -> Select:
    casts, names = dict(query.casts), _fetched(table, query, keyed)
    exact = table.counters == "exact"
    columns = sums.selected(table, names) if exact else tuple(Selected(name, cast=casts.get(name)) for name in names)
    if query.tokens:
        columns += (Selected(query.tokens[0], "token", others=query.tokens[1:]),)
    return Select(
        table.stored,
        columns,
        query.terms,
        query.order,
        limited,
        query.allow_filtering,
        query.distinct,
        sums.group(table) if exact and not query.distinct else query.group_by,
        query.per_partition_limit is not None,
    )


def _fetched(table: Table, query: Query, keyed: bool) -> tuple[str, ...]:
    """Return the columns to read: those shown, and what must be read with them."""
    needed = table.partition_key if query.distinct else table.primary_key if keyed else ()
    named = None if query.distinct else name_in_every_row(table)
    names = [*shown(table, query), *(column.name for column in needed)]
    return tuple(dict.fromkeys(names if named is None else [*names, named]))


def _is_even(table: Table, name: str) -> bool:
    """Return whether a column has one value in all rows of a partition."""
    column = table.by_name[name]
    return column.partition_index is not None or column.static


def _added(table: Table, row: Row, pending: Callable[[tuple[Any, ...]], Mapping[str, int] | None]) -> Row:
    deltas = pending(tuple([table.key_value(column, row[column.name]) for column in table.primary_key]))
    return {**row, **{name: (row[name] or 0) + deltas[name] for name in deltas if name in row}} if deltas else row


def _token_name(query: Query) -> tuple[str, ...]:
    return (_TOKEN,) if query.tokens else ()


def _tuples(table: Table, query: Query, rows: Iterable[Row]) -> list[tuple[Any, ...]]:
    names = (*shown(table, query), *_token_name(query))
    found = []
    for row in rows:
        values = [row[name] for name in names]
        if None in values:
            values = [
                shown_for_null(table.by_name[name]) if value is None else value
                for name, value in zip(names, values, strict=True)
            ]
        found.append(tuple(values))
    return found
